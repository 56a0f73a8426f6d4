import Compute
import Datasets
import Foundation
import Images
import TestSupport
import Testing
import Training

/// Tests pictures of single images of a data set.
@Suite struct PictureTests {
  @Test func picturesAreFoundByNumber() throws {
    func source(_ images: HostTensor) -> Dataset {
      Dataset(
        name: "pixels", images: images, labels: HostTensor([Int32](repeating: 0, count: 3), shape: [3]), classes: ["a"],
        normalization: .none(channels: images.shape[3]))
    }
    let bytes = source(HostTensor((0..<12).map(UInt8.init), shape: [3, 2, 2, 1]))
    let pictures = try bytes.pictures(ofSamples: [2, 9, 0])
    #expect(pictures[0]?.pixels == [8, 8, 8, 9, 9, 9, 10, 10, 10, 11, 11, 11] && pictures[1] == nil)
    #expect(pictures[2]?.pixels.first == 0)
    // Values that are no bytes are stretched over those that are shown.
    let floats = source(HostTensor([-1, 0, 1, 1, 9, 9, -1, -1, -1] as [Float], shape: [3, 1, 1, 3]))
    #expect(try floats.pictures(ofSamples: [0, 2]).map { $0?.pixels } == [[0, 128, 255], [0, 0, 0]])
    let grid = PictureGrid(pictures.compactMap { $0 }, columns: 2).image
    #expect(grid.width == 2 * 100 + 4 && grid.height == 104 && grid.pixels[(4 * 204 + 4) * 3] == 8)
  }

  /// Photographs are shown as the network sees them, and one that cannot be decoded is left out.
  @Test func picturesOfPhotographs() throws {
    let temporary = try TemporaryFolder()
    let folder = temporary.path
    try writePhotographs("\(folder)/data", train: 2, validation: 1)
    try Data("nonsense".utf8).write(to: URL(fileURLWithPath: "\(folder)/data/val/bee/0.png"))
    let images = try DatasetKind.folder.open(from: "\(folder)/data", imageSize: 16).validation
    let pictures = try images.pictures(ofSamples: [0, 1])
    let plain = try EvaluationTransform(resize: 18, crop: 16).apply(
      EncodedImage(contentsOf: "\(folder)/data/val/ant/0.png"), sample: 0)
    #expect(pictures[0] == plain && pictures[1] == nil)
  }
}
