import Foundation
import TestSupport
import Testing

/// Runs the programs in `Examples/`.
@Suite struct ExampleTests {
  private func run(_ example: String, _ arguments: [String], in folder: String) throws -> Program.Result {
    let path = URL(fileURLWithPath: Program.path).deletingLastPathComponent().appendingPathComponent(example).path
    let result = try Running(path, arguments, in: folder).end()
    #expect(result.code == 0, "\(example): \(result.err)")
    return result
  }

  /// Writes a data set in the form of Fashion-MNIST, in which each class has its own brightness.
  private func writeClothes(_ folder: String) throws {
    for (name, count) in [("train", 40), ("t10k", 20)] {
      let labels = (0..<count).map { UInt8($0 % 10) }
      let images = labels.flatMap { label in (0..<784).map { UInt8($0 % 5) + 24 * label } }
      try Data([0, 0, 8, 3] + big(count) + big(28) + big(28) + images).write(
        to: URL(fileURLWithPath: "\(folder)/\(name)-images-idx3-ubyte"))
      try Data([0, 0, 8, 1] + big(count) + labels).write(to: URL(fileURLWithPath: "\(folder)/\(name)-labels-idx1-ubyte"))
    }
  }

  @Test func trainsAndClassifies() throws {
    try withTemporaryFolder { folder in
      try writeClothes(folder)
      let trained = try run("TrainFashionMNIST", [folder], in: folder)
      #expect(trained.out.contains("epoch 1  validation accuracy"), "\(trained.out)")
      try writePicture("\(folder)/shirt.png", height: 28, width: 28, color: (90, 90, 90), noise: 1)
      let told = try run("ClassifyImages", ["clothes.safetensors", "shirt.png"], in: folder)
      let lines = told.out.split(separator: "\n")
      #expect(lines.first == "shirt.png" && lines.count == 4, "\(told.out)")
      // The names of the classes come with the checkpoint.
      let clothes = ["T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"]
      #expect(lines.dropFirst().allSatisfy { line in clothes.contains { line.hasPrefix("  \($0)  ") } }, "\(told.out)")
    }
  }

  @Test func fineTunes() throws {
    try withTemporaryFolder { folder in
      try writePhotographs("\(folder)/insects", train: 8, validation: 4)
      let options = "--model resnet8 --dataset synthetic --limit-train 4 --batch-size 4 --max-steps 1 --output run"
      let trained = try Program.run(["train"] + options.split(separator: " ").map(String.init), in: folder)
      #expect(trained.code == 0, "\(trained.err)")
      let result = try run("FineTune", ["run/last.safetensors", "insects", "insects/val/bee/0.png"], in: folder)
      #expect(result.out.contains("frozen: conv1, bn1, layer1"), "\(result.out)")
      let last = try #require(result.out.split(separator: "\n").last)
      #expect(["ant", "bee", "cat"].contains { last.hasPrefix("insects/val/bee/0.png: \($0), ") }, "\(result.out)")
    }
  }

  /// The loss falls, and a device computes what the reference computes.
  @Test func loopOfOnesOwnLearns() throws {
    try withTemporaryFolder { folder in
      func losses(_ arguments: [String]) throws -> [Double] {
        try run("CustomLoop", arguments, in: folder).out.split(separator: "\n").compactMap { line in
          let words = line.split(separator: " ")
          return words.count == 6 ? Double(words[3]) : nil
        }
      }
      let (device, reference) = (try losses([]), try losses(["cpu"]))
      #expect(device.count == 4 && reference.count == 4 && device[3] < 0.7 * device[0], "\(device)")
      #expect(zip(device, reference).allSatisfy { abs($0 - $1) < 1e-3 }, "\(device) \(reference)")
    }
  }
}
