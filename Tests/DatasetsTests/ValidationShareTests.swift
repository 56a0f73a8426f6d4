import Compute
import Datasets
import Formats
import Foundation
import Images
import Support
import TestSupport
import Testing

/// Tests shares of images in memory that are set apart for validation.
@Suite struct ValidationShareTests {
  /// Writes tensors of 20 images of class 0 and four of class 2. The first value of an image is its number.
  private func write(_ path: String, validates: Bool = false) throws {
    let labels = (0..<24).map { $0 % 6 == 5 ? 2 : 0 } as [Int32]
    var tensors = [
      ("images", HostTensor((0..<96).map { UInt8($0 / 4) }, shape: [24, 2, 2, 1])), ("labels", HostTensor(labels, shape: [24])),
    ]
    if validates { tensors += tensors.map { ("validation_\($0.0)", $0.1) } }
    try Safetensors.write(tensors, metadata: [:], to: path)
  }

  private func numbers(_ images: Dataset) -> [UInt8] {
    stride(from: 0, to: images.images.bytes.count, by: 4).map { images.images.bytes[$0] }
  }

  @Test func eachClassGivesTheShare() throws {
    try withTemporaryFolder { folder in
      try write("\(folder)/a.safetensors")
      func splits(_ seed: UInt64) throws -> DatasetSplits {
        try DatasetKind.tensors.load(from: "\(folder)/a.safetensors", validationShare: ValidationShare(0.25, seed: seed))
      }
      let found = try splits(1)
      #expect(found.train.classCounts == [15, 0, 3] && found.validation.classCounts == [5, 0, 1])
      #expect((numbers(found.train) + numbers(found.validation)).sorted() == Array(0..<24))
      // Labels go with their images.
      for images in [found.train, found.validation] {
        #expect(images.labels.elements(as: Int32.self) == numbers(images).map { $0 % 6 == 5 ? 2 : 0 })
      }
      #expect(try numbers(splits(1).validation) == numbers(found.validation))
      #expect(try numbers(splits(2).validation) != numbers(found.validation))
    }
  }

  @Test func imagesToValidateOnAreNotMixed() throws {
    try withTemporaryFolder { folder in
      let path = "\(folder)/a.safetensors"
      try write(path, validates: true)
      #expect(
        failureMessage { _ = try DatasetKind.tensors.load(from: path, validationShare: ValidationShare(0.25)) }
          == "\(path): it holds validation_images, so none are set apart: leave validationShare out")
      #expect(
        failureMessage { _ = try DatasetKind.synthetic.load(validationShare: ValidationShare(0.25)) }
          == "the data set 'synthetic' has images to validate on, so none are set apart: leave validationShare out")
    }
  }

  @Test func aPartIsLoaded() throws {
    #expect(try DatasetKind.synthetic.load(.train, from: nil).count == 2048)
    #expect(try DatasetKind.synthetic.load(.validation, from: nil).count == 512)
    #expect(
      failureMessage { _ = try DatasetKind.synthetic.load(.test, from: nil) }
        == "the data set 'synthetic' has no test part: name another part (split)")
  }
}
