import Compute
import Datasets
import Foundation
import TestSupport
import Testing

@Suite struct CIFARTests {
  /// Returns a record whose pixel (h, w) of channel c is (h + 3w + 50c + shift) mod 256.
  static func record(_ labels: [UInt8], shift: Int) -> [UInt8] {
    labels + (0..<3072).map { UInt8(($0 / 32 % 32 + 3 * ($0 % 32) + 50 * ($0 / 1024) + shift) % 256) }
  }

  static func expectedPixels(shift: Int) -> [UInt8] {
    (0..<3072).map { UInt8(($0 / 96 + 3 * ($0 / 3 % 32) + 50 * ($0 % 3) + shift) % 256) }
  }

  /// Writes the batches: batch b has two images with the labels b and 9 − b.
  private func writeTen(_ folder: String) throws {
    for batch in 1...5 {
      let bytes = Self.record([UInt8(batch)], shift: batch) + Self.record([UInt8(9 - batch)], shift: 100 + batch)
      try write(bytes, to: "\(folder)/data_batch_\(batch).bin")
    }
    try write(Self.record([7], shift: 33), to: folder + "/test_batch.bin")
  }

  private func writeHundred(_ folder: String) throws {
    try write(Self.record([3, 99], shift: 0) + Self.record([19, 0], shift: 1), to: folder + "/train.bin")
    try write(Self.record([0, 42], shift: 2), to: folder + "/test.bin")
  }

  @Test(arguments: ["", "/cifar-10-batches-bin"]) func ten(_ subfolder: String) throws {
    try withTemporaryFolder { folder in
      try FileManager.default.createDirectory(atPath: folder + subfolder, withIntermediateDirectories: true)
      try writeTen(folder + subfolder)
      let splits = try DatasetKind.cifar10.load(from: folder)
      #expect(splits.train.labels == HostTensor([1, 8, 2, 7, 3, 6, 4, 5, 5, 4] as [Int32], shape: [10]))
      let pixels = (1...5).flatMap { Self.expectedPixels(shift: $0) + Self.expectedPixels(shift: 100 + $0) }
      #expect(splits.train.images == HostTensor(pixels, shape: [10, 32, 32, 3]))
      #expect(splits.validation.images == HostTensor(Self.expectedPixels(shift: 33), shape: [1, 32, 32, 3]))
      #expect(splits.validation.labels == HostTensor([7] as [Int32], shape: [1]))
      #expect(splits.train.classes[0] == "airplane" && splits.train.classes[9] == "truck")
    }
  }

  @Test func hundred() throws {
    try withTemporaryFolder { folder in
      try writeHundred(folder)
      let splits = try DatasetKind.cifar100.load(from: folder)
      #expect(splits.train.labels == HostTensor([99, 0] as [Int32], shape: [2]))
      #expect(splits.validation.labels == HostTensor([42] as [Int32], shape: [1]))
      #expect(splits.validation.images == HostTensor(Self.expectedPixels(shift: 2), shape: [1, 32, 32, 3]))
      #expect(splits.train.classes == (0..<100).map(String.init))
    }
  }

  @Test func classNamesFromTheirFiles() throws {
    try withTemporaryFolder { folder in
      try writeTen(folder)
      try writeHundred(folder)
      try write(Array("a\nb\r\nc\nd\ne\nf\ng\nh\ni\nj\n\n".utf8), to: folder + "/batches.meta.txt")
      try write(Array((0..<100).map { "fine \($0)\n" }.joined().utf8), to: folder + "/fine_label_names.txt")
      #expect(try DatasetKind.cifar10.load(from: folder).train.classes == "abcdefghij".map(String.init))
      #expect(try DatasetKind.cifar100.load(from: folder).validation.classes[42] == "fine 42")
    }
  }

  struct Case: CustomTestStringConvertible, Sendable {
    let kind: DatasetKind
    let file: String
    let damage: Damage
    let says: String
    var testDescription: String { "\(kind) \(file): \(says)" }

    init(_ kind: DatasetKind, _ file: String, _ damage: Damage, _ says: String) {
      (self.kind, self.file, self.damage, self.says) = (kind, file, damage, says)
    }
  }

  static let cases: [Case] = [
    Case(.cifar10, "data_batch_3.bin", .delete, "binary version with data"),
    Case(.cifar10, "test_batch.bin", .delete, "binary version with data"),
    Case(.cifar10, "data_batch_1.bin", .replace([]), "empty; download it again"),
    Case(
      .cifar10, "data_batch_5.bin", .replace(record([1], shift: 0).dropLast()), "3072 bytes are not a multiple of a record's 3073"
    ),
    Case(.cifar10, "data_batch_2.bin", .replace(record([1, 1], shift: 0)), "3074 bytes are not a multiple"),
    Case(
      .cifar10, "data_batch_2.bin", .replace(record([1], shift: 0) + record([10], shift: 0)),
      "label 10 of record 1 is not below 10"),
    Case(.cifar10, "data_batch_4.bin", .folder, "it is a folder"),
    Case(.cifar10, "data_batch_4.bin", .link("/dev/zero"), "not a regular file"),
    Case(.cifar10, "test_batch.bin", .link("/nowhere"), "binary version with data"),
    Case(.cifar10, "batches.meta.txt", .replace(Array("a\nb\n".utf8)), "2 class names instead of 10"),
    Case(.cifar10, "batches.meta.txt", .replace([0xFF, 0xFE]), "not a list of class names"),
    Case(.cifar10, "batches.meta.txt", .folder, "it is a folder"),
    Case(.cifar100, "train.bin", .delete, "cifar100's binary version with data"),
    Case(.cifar100, "test.bin", .replace(record([1], shift: 0)), "3073 bytes are not a multiple of a record's 3074"),
    Case(.cifar100, "test.bin", .replace(record([1, 100], shift: 0)), "label 100 of record 0 is not below 100"),
    Case(.cifar100, "fine_label_names.txt", .replace([]), "0 class names instead of 100"),
  ]

  @Test(arguments: cases) func malformed(_ item: Case) throws {
    try withTemporaryFolder { folder in
      try writeTen(folder)
      try writeHundred(folder)
      if item.file.hasSuffix(".txt") { try write([], to: "\(folder)/\(item.file)") }
      try apply(item.damage, to: "\(folder)/\(item.file)")
      let message = failureMessage { _ = try item.kind.load(from: folder) }
      expect(message, says: [folder, item.file, item.says])
    }
  }
}
