import Compute
import Datasets
import Foundation
import Images
import Support
import TestSupport
import Testing

/// Checks that fingerprints show each kind of change.
@Suite struct ContentsTests {
  /// The end of the pixels lies beyond what the first checksum covers.
  @Test func eachPixelAndLabelOfImagesInMemoryCounts() throws {
    let images = SyntheticImages(classes: 3, size: 32, channels: 3).splits().train
    #expect(images.images.bytes.count > 1 << 16)
    let known = try #require(images.contents)
    func contents(_ change: (inout [UInt8], inout [Int32]) -> Void) throws -> DatasetContents {
      var (bytes, labels) = (images.images.bytes, images.labels.elements(as: Int32.self))
      change(&bytes, &labels)
      let other = Dataset(
        name: images.name, images: HostTensor(shape: images.shape, type: .uint8, bytes: bytes),
        labels: HostTensor(labels, shape: [labels.count]), classes: images.classes, normalization: images.normalization)
      return try #require(other.contents)
    }
    #expect(try contents { _, _ in } == known)
    let last = try contents { bytes, _ in bytes[bytes.count - 1] ^= 1 }
    #expect(last.checksum == known.checksum, "the first checksum does not cover the end")
    #expect(last.change(since: known, "here", isMoved: false)?.contains("other pixels") == true)
    let labels = try contents { _, labels in labels[labels.count - 1] = (labels[labels.count - 1] + 1) % 3 }
    #expect(labels.change(since: known, "here", isMoved: false)?.contains("other labels") == true)
  }

  /// Fingerprints of earlier versions know less.
  @Test func whatIsNotKnownDoesNotDiffer() throws {
    let known = try #require(SyntheticImages(classes: 3, size: 8, channels: 1).splits().train.contents)
    var earlier = known
    (earlier.labels, earlier.pixels) = (nil, nil)
    #expect(known.change(since: earlier, "here", isMoved: false) == nil)
  }

  @Test func sizesAndTimesOfPhotographsCount() throws {
    try withTemporaryFolder { folder in
      try writePhotographs("\(folder)/data", train: 2, validation: 1)
      func contents() throws -> DatasetContents {
        try #require(try DatasetKind.folder.open(from: "\(folder)/data", imageSize: 8).train.contents)
      }
      let known = try contents()
      let path = try #require(try DatasetKind.folder.open(from: "\(folder)/data", imageSize: 8).train.items.first?.path)
      // Another time alone counts unless the images have moved.
      try FileManager.default.setAttributes([.modificationDate: Date(timeIntervalSince1970: 1e9)], ofItemAtPath: path)
      #expect(try contents().change(since: known, "here", isMoved: false)?.contains("were changed since") == true)
      #expect(try contents().change(since: known, "here", isMoved: true) == nil)
      let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
      try file.seekToEnd()
      try file.write(contentsOf: [0])
      try file.close()
      #expect(try contents().change(since: known, "here", isMoved: true)?.contains("other sizes") == true)
    }
  }
}
