import Datasets
import Formats
import Foundation
import Glibc
import Images
import ONNX
import Support
import Training

/// Readers of files that come from elsewhere. Each takes any bytes and returns, or throws a `Failure`: it never ends the process,
/// never takes long, and never allocates much more than the file has bytes.
package enum FuzzParser: String, CaseIterable, Sendable {
  case fault, idx, cifar, safetensors, weights, onnx, image, archive, csv, json, labels, log, run, tensors

  /// Reads bytes as a file.
  /// - Returns: whether they are a valid file.
  /// - Throws: errors that are no ``Failure``, which are faults.
  package func reads(_ bytes: [UInt8]) throws -> Bool {
    do {
      try read(bytes)
      return true
    } catch is Failure { return false }
  }

  private func read(_ bytes: [UInt8]) throws {
    switch self {
    case .image:
      let image = try EncodedImage(bytes, name: "image", limits: ImageLimits(side: 4096, pixels: 1 << 20, byteCount: 1 << 24))
      _ = try image.decoded()
    case .csv: _ = try CSV.rows(bytes)
    case .json: _ = try JSON(parsing: bytes)
    case .run:
      try Scratch.folder("run") { folder in
        try Scratch.write(bytes, to: "\(folder)/config.json")
        _ = try RunFolder(existing: folder).configuration()
      }
    case .log:
      try Scratch.folder("log") { folder in
        try Scratch.write(bytes, to: "\(folder)/metrics.jsonl")
        _ = try RunFolder(existing: folder).records(steps: 100)
      }
    case .safetensors: _ = try withFile(bytes) { try Safetensors.read($0) }
    case .weights:
      try withFile(bytes) { path in
        let file = try WeightsFile(path)
        for index in file.dictionaries.indices { _ = try file.read(index) }
      }
    case .fault: _ = try withFile(bytes) { try FaultRecord(contentsOf: $0) }
    case .onnx: _ = try withFile(bytes) { try ONNXModel(contentsOf: $0) }
    case .archive:
      try withFile(bytes) { path in
        for sample in try ImageFolder(path).samples { _ = try sample.place.read(atMost: 1 << 20) }
      }
    case .tensors: _ = try withFile(bytes) { try DatasetKind.tensors.open(from: $0, imageSize: 8) }
    case .labels:
      try Scratch.folder("images") { folder in
        try Scratch.write(bytes, to: "\(folder)/labels.csv")
        _ = try LabelFile("\(folder)/labels.csv", imagesIn: folder)
      }
    case .idx: try readIDX(bytes)
    case .cifar:
      try Scratch.folder("cifar") { folder in
        for batch in 1...5 { try Scratch.write(Self.picture, to: "\(folder)/data_batch_\(batch).bin") }
        try Scratch.write(bytes, to: "\(folder)/test_batch.bin")
        _ = try DatasetKind.cifar10.open(from: folder, imageSize: 32)
      }
    }
  }

  /// A picture of CIFAR-10 with its label.
  private static let picture = [UInt8](repeating: 3, count: 1 + 3072)

  /// The first byte tells which of the four files the others replace.
  private func readIDX(_ bytes: [UInt8]) throws {
    let images: [UInt8] = [0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 28, 0, 0, 0, 28] + [UInt8](repeating: 7, count: 784)
    let labels: [UInt8] = [0, 0, 8, 1, 0, 0, 0, 1, 2]
    try Scratch.folder("idx") { folder in
      for (number, name) in ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"].enumerated() {
        let isReplaced = bytes.first.map { Int($0) % 4 == number } ?? false
        try Scratch.write(
          isReplaced ? Array(bytes.dropFirst()) : number % 2 == 0 ? images : labels, to: "\(folder)/\(name)-ubyte")
      }
      _ = try DatasetKind.fashionMNIST.open(from: folder, imageSize: 28)
    }
  }

  private func withFile<Result>(_ bytes: [UInt8], _ body: (String) throws -> Result) throws -> Result {
    try Scratch.folder("file") { folder in
      try Scratch.write(bytes, to: "\(folder)/file")
      return try body("\(folder)/file")
    }
  }
}

/// Files in memory, in a folder of this process.
private enum Scratch {
  static func folder<Result>(_ name: String, _ body: (String) throws -> Result) throws -> Result {
    let path = "/dev/shm/resnet-fuzz-\(getpid())-\(name)-\(UInt64.random(in: 0...UInt64.max))"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    // A folder that stays would only fill the memory.
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try body(path)
  }

  static func write(_ bytes: [UInt8], to path: String) throws { try Data(bytes).write(to: URL(fileURLWithPath: path)) }
}
