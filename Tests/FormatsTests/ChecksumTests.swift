import Compute
import Formats
import Foundation
import Support
import TestSupport
import Testing

/// Checks that damage of safetensors files that are written here is noticed, wherever it is.
@Suite struct ChecksumTests {
  private static let tensors: [(name: String, tensor: HostTensor)] = [
    ("a", HostTensor((0..<64).map { Float($0) }, shape: [64])), ("b", HostTensor((0..<64).map { Float(-$0) }, shape: [64])),
    ("c", HostTensor([7] as [UInt8], shape: [])),
  ]

  /// Writes a file, changes its bytes, and returns what reading it says; nil if it is taken.
  private func complaint(_ change: (inout [UInt8]) -> Void) throws -> String? {
    try withTemporaryFolder { folder in
      let path = "\(folder)/x"
      try Safetensors.write(Self.tensors, metadata: ["note": "kept"], to: path)
      var bytes = try InputFile(path).read()
      change(&bytes)
      try AtomicFile.write(bytes, to: path)
      do {
        _ = try Safetensors.read(path)
        return nil
      } catch let failure as Failure { return failure.description }
    }
  }

  /// Returns the number of bytes before the elements.
  private func begin(_ bytes: [UInt8]) -> Int { 8 + bytes[..<8].reversed().reduce(0) { $0 << 8 | Int($1) } }

  @Test func theCheckValueIsTheStandards() {
    #expect(CRC32.of("123456789".utf8) == 0xCBF4_3926 && CRC32.of([UInt8]()) == 0)
    var parts = CRC32()
    for part in ["1234", "", "56789"] { parts.add(part.utf8) }
    #expect(parts.text == "cbf43926")
  }

  @Test func wholeFilesPass() throws { #expect(try complaint { _ in } == nil) }

  /// Flips each bit of the file in turn. Only the name of the checksums' own key may lose a bit unnoticed, as the file then seems to
  /// have none; its tensors are whole.
  @Test func everyFlippedBitIsNoticed() throws {
    let all = try withTemporaryFolder { folder in
      try Safetensors.write(Self.tensors, metadata: ["note": "kept"], to: "\(folder)/x")
      return try InputFile("\(folder)/x").read()
    }
    let key = try #require(all.firstRange(of: Array("resnet.crc32".utf8)))
    try withTemporaryFolder { folder in
      for bit in 0..<8 * all.count where !key.contains(bit / 8) {
        var bytes = all
        bytes[bit / 8] ^= 1 << (bit % 8)
        try Data(bytes).write(to: URL(fileURLWithPath: "\(folder)/x"))
        #expect(throws: Failure.self, "bit \(bit)") { try Safetensors.read("\(folder)/x") }
      }
    }
  }

  @Test func aZeroedTensorIsNamed() throws {
    let text = try #require(
      try complaint { bytes in
        let begin = begin(bytes)
        for index in begin + 256..<begin + 512 { bytes[index] = 0 }
      })
    #expect(text.contains("tensor \"b\" is damaged: its checksum is wrong"), "\(text)")
  }

  @Test func exchangedBlocksAreNamed() throws {
    let text = try #require(
      try complaint { bytes in
        let begin = begin(bytes)
        for index in begin..<begin + 256 { bytes.swapAt(index, index + 256) }
      })
    #expect(text.contains("tensor \"a\" is damaged"), "\(text)")
  }

  @Test func anExchangeOfNamesIsNoticed() throws {
    let text = try #require(
      try complaint { bytes in
        guard let a = bytes.firstRange(of: Array("\"a\":".utf8)), let b = bytes.firstRange(of: Array("\"b\":".utf8)) else {
          return
        }
        bytes.swapAt(a.lowerBound + 1, b.lowerBound + 1)
      })
    #expect(text.contains("the checksum of its header is wrong"), "\(text)")
  }

  /// Checks files from elsewhere, which have no checksums, and one that another program made of a file from here.
  @Test func filesFromElsewhere() throws {
    try withTemporaryFolder { folder in
      func write(_ header: String) throws -> String {
        let path = "\(folder)/x"
        let length = (0..<8).map { UInt8(truncatingIfNeeded: header.utf8.count >> (8 * $0)) }
        try AtomicFile.write(length + Array(header.utf8) + [1, 2, 3, 4], to: path)
        return path
      }
      let tensor = #""w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}"#
      let plain = try Safetensors.read(try write("{\(tensor)}"))
      #expect(!plain.hasChecksums && plain.tensors["w"]?.bytes == [1, 2, 3, 4])
      for text in ["", "00000000", "00000000 00000000", "00000000 0000000", "x", "00000000 zzzzzzzz"] {
        let path = try write("{\"__metadata__\":{\"resnet.crc32\":\"\(text)\"},\(tensor)}")
        let message = failureMessage { _ = try Safetensors.read(path) }
        #expect(message.contains("the checksum of its header is wrong"), "\(message)")
      }
    }
  }

  /// A tensor or a value of the metadata that is called like the checksums, or holds their text, changes nothing.
  @Test func namesLikeTheChecksums() throws {
    try withTemporaryFolder { folder in
      let tensors = [(name: "resnet.crc32", tensor: HostTensor([1] as [Float], shape: [1]))]
      let metadata = ["a": "\"resnet.crc32\":\"00000000\"", "resnet.crc32": "mine"]
      try Safetensors.write(tensors, metadata: metadata, to: "\(folder)/x")
      let file = try Safetensors.read("\(folder)/x")
      #expect(file.hasChecksums && file.metadata == ["a": "\"resnet.crc32\":\"00000000\""] && file.tensors.count == 1)
    }
  }
}
