import Compute
import Datasets
import Foundation
import TestSupport
import Testing

@Suite struct IDXTests {
  /// Three training and two test images of 2×3 pixels.
  static let files: [String: [UInt8]] = [
    "train-images-idx3-ubyte": [0, 0, 8, 3] + big(3) + big(2) + big(3) + (1...18),
    "train-labels-idx1-ubyte": [0, 0, 8, 1] + big(3) + [9, 0, 4],
    "t10k-images-idx3-ubyte": [0, 0, 8, 3] + big(2) + big(2) + big(3) + (101...112),
    "t10k-labels-idx1-ubyte": [0, 0, 8, 1] + big(2) + [1, 2],
  ]

  private func writeFiles(_ folder: String, name: (String) -> String, compress: Bool) throws {
    for (file, bytes) in Self.files { try write(compress ? gzip(bytes) : bytes, to: "\(folder)/\(name(file))") }
  }

  @Test(arguments: [
    (true, "-idx", ".gz"), (true, "-idx", ""), (false, "-idx", ""), (false, ".idx", ""), (false, "-idx", ".gz"),
  ])
  func reads(compressed: Bool, infix: String, suffix: String) throws {
    try withTemporaryFolder { folder in
      let name = { (file: String) in file.replacingOccurrences(of: "-idx", with: infix) + suffix }
      try writeFiles(folder, name: name, compress: compressed)
      let splits = try DatasetKind.mnist.load(from: folder)
      #expect(splits.train.images == HostTensor(Array(1...18) as [UInt8], shape: [3, 2, 3, 1]))
      #expect(splits.train.labels == HostTensor([9, 0, 4] as [Int32], shape: [3]))
      #expect(splits.validation.images == HostTensor(Array(101...112) as [UInt8], shape: [2, 2, 3, 1]))
      #expect(splits.validation.labels == HostTensor([1, 2] as [Int32], shape: [2]))
      #expect(splits.train.classes == (0..<10).map(String.init) && splits.train.name == "mnist")
    }
  }

  /// A damaged file, and the texts that the message must contain beside its name.
  struct Case: CustomTestStringConvertible, Sendable {
    let file: String
    let damage: Damage
    let says: [String]
    var testDescription: String { "\(file) \(says)" }

    init(_ file: String, _ damage: Damage, _ says: String...) { (self.file, self.damage, self.says) = (file, damage, says) }
  }

  static let images = "train-images-idx3-ubyte"
  static let labels = "train-labels-idx1-ubyte"
  static let imageBytes = files[images, default: []]
  static let labelBytes = files[labels, default: []]
  static let header: [UInt8] = [0, 0, 8, 3]

  static let plain: [Case] = [
    Case(images, .delete, "none of", "train-images-idx3-ubyte.gz", "train-images.idx3-ubyte", "files with data"),
    Case("t10k-labels-idx1-ubyte", .delete, "none of", "t10k-labels-idx1-ubyte.gz"),
    Case(images, .folder, "it is a folder"),
    Case(images, .link("/proc/self/mem"), "truncated"),
    Case(images, .link("/dev/zero"), "not a regular file"),
    Case(images, .replace([]), "truncated, 4 more bytes expected and 0 there"),
    Case(images, .replace(Array(imageBytes.prefix(3))), "truncated, 4 more bytes expected and 3 there"),
    Case(images, .replace(Array(imageBytes.prefix(10))), "truncated, 4 more bytes expected and 2 there"),
    Case(images, .replace(imageBytes.dropLast()), "truncated, 18 more bytes expected and 17 there"),
    Case(images, .replace(imageBytes + [0, 0]), "2 bytes too many at its end"),
    Case(images, .replace(labelBytes), "not IDX images", "0x00000801 instead of 0x00000803"),
    Case(labels, .replace(imageBytes), "not IDX labels", "0x00000803 instead of 0x00000801"),
    Case(images, .replace([0, 0, 13, 3] + imageBytes.dropFirst(4)), "0x00000d03"),
    Case(images, .replace(Array("PNG image".utf8)), "not IDX images"),
    Case(images, .replace(header + big(0) + big(2) + big(3)), "0×2×3", "holds nothing"),
    Case(images, .replace(header + big(3) + big(0) + big(3)), "3×0×3", "holds nothing"),
    Case(images, .replace(header + big(-1) + big(-1) + big(-1)), "4294967295×4294967295×4294967295", "over the bound"),
    Case(images, .replace(header + big(1 << 20) + big(64) + big(64)), "1048576×64×64", "over the bound"),
    Case(images, .replace(header + big(1 << 20) + big(32) + big(32)), "1048576×32×32", "too short to hold them"),
    Case(labels, .replace([0, 0, 8, 1] + big(3) + [1, 10, 2]), "label 10 of sample 1 is not below 10"),
    Case(labels, .replace([0, 0, 8, 1] + big(2) + [1, 2]), "has 3 images", "has 2 labels", images),
    Case(labels, .replace([0, 0, 8, 1] + big(4) + [1, 2, 3, 4]), "has 3 images", "has 4 labels"),
    Case(labels, .replace([0, 0, 8, 1] + big(3) + [1, 2]), "truncated"),
  ]

  @Test(arguments: plain) func malformed(_ item: Case) throws { try check(item, suffix: "", compress: false) }

  static let zipped = gzip(imageBytes)

  static func flipped(_ bytes: [UInt8], at index: Int) -> [UInt8] {
    var bytes = bytes
    bytes[index] ^= 0x40
    return bytes
  }

  static let compressed: [Case] = [
    Case(images, .replace(Array(zipped.prefix(2))), "truncated, the gzip data end early"),
    Case(images, .replace(Array(zipped.prefix(9))), "truncated, the gzip data end early"),
    Case(images, .replace(Array(zipped.prefix(30))), "truncated, the gzip data end early"),
    Case(images, .replace(zipped.dropLast()), "truncated, the gzip data end early"),
    Case(images, .replace(zipped.dropLast(8)), "truncated, the gzip data end early"),
    Case(images, .replace(flipped(zipped, at: 2)), "corrupt gzip data", "compression method"),
    Case(images, .replace(flipped(zipped, at: 12)), "corrupt gzip data", "stored block lengths"),
    Case(images, .replace(flipped(zipped, at: 40)), "corrupt gzip data", "data check"),
    Case(images, .replace(flipped(zipped, at: zipped.count - 1)), "corrupt gzip data", "length check"),
    Case(images, .replace(zipped + [1, 2, 3]), "3 bytes follow the gzip data"),
    Case(images, .replace(zipped + zipped), "\(zipped.count) bytes follow the gzip data"),
    Case(images, .replace(gzip(imageBytes + [0])), "more data than its header announces"),
    Case(images, .replace(gzip(imageBytes.dropLast())), "truncated, 18 more bytes expected and 17 there"),
    Case(images, .replace(gzip([])), "truncated, 4 more bytes expected and 0 there"),
    Case(images, .replace(gzip(header + big(1 << 20) + big(32) + big(32))), "1048576×32×32", "too short to hold them"),
    Case(images, .replace(gzip(gzip(imageBytes))), "not IDX images", "0x1f8b0800"),
    Case(labels, .replace(gzip([0, 0, 8, 1] + big(3) + [1, 2, 255])), "label 255 of sample 2"),
  ]

  @Test(arguments: compressed) func malformedGzip(_ item: Case) throws { try check(item, suffix: ".gz", compress: true) }

  private func check(_ item: Case, suffix: String, compress: Bool) throws {
    try withTemporaryFolder { folder in
      try writeFiles(folder, name: { $0 + suffix }, compress: compress)
      try apply(item.damage, to: "\(folder)/\(item.file)\(suffix)")
      let message = failureMessage { _ = try DatasetKind.mnist.load(from: folder) }
      expect(message, says: [folder, item.file, "files with data"] + item.says)
    }
  }

  @Test func everyDamagedByteOfAGzipFileIsFound() throws {
    try withTemporaryFolder { folder in
      try writeFiles(folder, name: { $0 + ".gz" }, compress: true)
      let path = "\(folder)/\(Self.images).gz"
      // Bytes 4 to 9 (time, extra flags and system) may have any value, and so may the bits that pad the header of a stored
      // block.
      for index in Self.zipped.indices where !(4...10).contains(index) {
        try write(Self.flipped(Self.zipped, at: index), to: path)
        let message = failureMessage { _ = try DatasetKind.mnist.load(from: folder) }
        expect(message, says: [path])
      }
    }
  }

  @Test func sizesDiffer() throws {
    try withTemporaryFolder { folder in
      try writeFiles(folder, name: { $0 }, compress: false)
      try write([0, 0, 8, 3] + big(2) + big(3) + big(2) + (1...12), to: folder + "/t10k-images-idx3-ubyte")
      let message = failureMessage { _ = try DatasetKind.mnist.load(from: folder) }
      expect(message, says: [folder, "2×3", "3×2"])
    }
  }

  @Test func noFolder() throws {
    let message = failureMessage { _ = try DatasetKind.fashionMNIST.load(from: "/nowhere") }
    expect(
      message, says: ["/nowhere", "train-images-idx3-ubyte.gz", "apt-get install dataset-fashion-mnist", "folder with data"])
  }

  /// Reads the real files, which the package dataset-fashion-mnist installs. The tests require it.
  @Test func fashionMNIST() throws {
    let splits = try DatasetKind.fashionMNIST.load()
    #expect(splits.train.images.shape == [60000, 28, 28, 1] && splits.validation.images.shape == [10000, 28, 28, 1])
    for (split, each) in [(splits.train, 6000), (splits.validation, 1000)] {
      var histogram = [Int](repeating: 0, count: 10)
      for label in split.labels.elements(as: Int32.self) { histogram[Int(label)] += 1 }
      #expect(histogram == [Int](repeating: each, count: 10))
    }
    #expect(splits.train.classes[Int(splits.train.labels.elements(as: Int32.self)[0])] == "ankle boot")
  }
}
