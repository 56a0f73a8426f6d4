import Compute
import Formats
import Foundation
import Testing

/// What torch.save writes is read bit for bit.
@Suite struct PyTorchCheckpointTests {
  static func fixture(_ name: String, _ ending: String) throws -> String {
    try #require(Bundle.module.path(forResource: "Fixtures/\(name)", ofType: ending))
  }

  @Test(arguments: [
    ("element-types", "element-types"), ("views", "views"), ("containers", "containers"), ("protocol3", "containers"),
    ("protocol4", "containers"), ("protocol5", "containers"),
  ])
  func tensorsAreRead(name: String, expected: String) throws {
    let path = try Self.fixture(name, "pth")
    #expect(try PyTorchCheckpoint.isCheckpoint(path))
    let tensors = try PyTorchCheckpoint.read(path)
    let wanted = try Safetensors.read(try Self.fixture(expected, "safetensors")).tensors
    #expect(tensors.keys.sorted() == wanted.keys.sorted())
    for (name, tensor) in wanted { #expect(tensors[name] == tensor, "\(name)") }
  }

  @Test func theFormatBeforeIsNamed() throws {
    let path = try Self.fixture("legacy", "pth")
    #expect(try PyTorchCheckpoint.isCheckpoint(path))
    let message = try #require(failureMessage { _ = try PyTorchCheckpoint.read(path) })
    #expect(message.hasPrefix(path + ": ") && message.contains("before PyTorch 1.6") && message.contains("torch.save"))
  }

  @Test func safetensorsAreNoCheckpoint() throws {
    #expect(try !PyTorchCheckpoint.isCheckpoint(try Self.fixture("views", "safetensors")))
    try withTemporaryFolder { folder in
      // A header of 0x280 bytes begins as a pickle does.
      let header = Array("{}".utf8) + [UInt8](repeating: 0x20, count: 638)
      try AtomicFile.write(little(0x280, 8) + header, to: folder + "/x")
      #expect(try !PyTorchCheckpoint.isCheckpoint(folder + "/x"))
      #expect(try Safetensors.read(folder + "/x").tensors.isEmpty)
    }
  }

  static let good = TorchFile(Pickled.checkpoint(Pickled.tensor()))

  private func read(_ bytes: [UInt8]) throws -> [String: HostTensor] {
    try withTemporaryFolder { folder in
      try AtomicFile.write(bytes, to: folder + "/model.pth")
      return try PyTorchCheckpoint.read(folder + "/model.pth")
    }
  }

  @Test func whatTheTestsWriteIsRead() throws {
    let expected = ["w": HostTensor(TorchFile.elements, shape: [2, 3])]
    #expect(try read(Self.good.bytes) == expected)
    #expect(try read(Self.good.changed { $0.isZip64 = true }.bytes) == expected)
    // A record whose size and place stand in the Zip64 field.
    let wide = Self.good.changed {
      $0.records[0].extra =
        little(1, 2) + little(24, 2) + little($0.records[0].contents.count, 8) + little($0.records[0].contents.count, 8)
      $0.records[0].extra += little(0, 8)
      ($0.records[0].byteCount, $0.records[0].headerOffset) = (0xFFFF_FFFF, 0xFFFF_FFFF)
    }
    #expect(try read(wide.bytes) == expected)
    // The oldest form of a tensor, without a byteorder, under another prefix.
    var old = TorchFile(
      Pickled.checkpoint(
        Pickled.global("torch._utils", "_rebuild_tensor")
          + Pickled.tuple(Pickled.storage(), Pickled.integer(0), Pickled.integers([2, 3]), Pickled.integers([3, 1]))
          + Pickled.reduce))
    old.records.removeAll { $0.name.hasSuffix("byteorder") }
    #expect(try read(old.bytes) == expected)
    #expect(try read(TorchFile(Pickled.whole(Pickled.text("}"))).bytes).isEmpty)
  }

  @Test func wrappersArePrefixesOfAllNamesOnly() throws {
    func names(_ names: [String]) throws -> [String] {
      let entries = names.flatMap { Pickled.string($0) + Pickled.tensor() }
      let pickle = Pickled.whole(Pickled.text("}(") + entries + Pickled.text("u"))
      return try read(TorchFile(pickle).bytes).keys.sorted()
    }
    #expect(try names(["module.a", "module.b"]) == ["a", "b"])
    #expect(try names(["module._orig_mod.a"]) == ["a"])
    #expect(try names(["module.a", "b"]) == ["b", "module.a"])
  }

  @Test func everyTruncationIsFound() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/x"
      for bytes in [Self.good.bytes, Self.good.changed { $0.isZip64 = true }.bytes] {
        for count in bytes.indices {
          try AtomicFile.write(Array(bytes[..<count]), to: path)
          let message = failureMessage { _ = try PyTorchCheckpoint.read(path) }
          #expect(message?.hasPrefix(path + ": ") == true, "\(count) bytes: \(message ?? "")")
        }
      }
    }
  }

  /// Whatever is damaged, it is found, or it is something that nobody reads; and never does the program end.
  @Test func everyDamagedByteIsSurvived() throws {
    let bytes = Self.good.changed { $0.isZip64 = true }.bytes
    let expected = ["w": HostTensor(TorchFile.elements, shape: [2, 3])]
    try withTemporaryFolder { folder in
      let path = folder + "/x"
      for place in bytes.indices {
        for mask: UInt8 in [0x01, 0x80, 0xFF] {
          var damaged = bytes
          damaged[place] ^= mask
          try AtomicFile.write(damaged, to: path)
          do { #expect(try PyTorchCheckpoint.read(path) == expected, "byte \(place)") } catch {
            #expect((error as? Failure)?.description.hasPrefix(path + ": ") == true, "byte \(place): \(error)")
          }
        }
      }
    }
  }

  /// The same for the pickle, with a checksum that agrees: what is read may differ then.
  @Test func everyDamagedPickleIsSurvived() throws {
    let pickle = Pickled.checkpoint(Pickled.tensor())
    try withTemporaryFolder { folder in
      let path = folder + "/x"
      for place in pickle.indices {
        for byte: UInt8 in [0, 0x28, 0x29, 0x2E, 0x30, 0x52, 0x68, 0x74, 0x7D, 0x80, 0x85, 0x8A, 0x93, 0x94, 0xFF] {
          var damaged = pickle
          damaged[place] = byte
          try AtomicFile.write(TorchFile(damaged).bytes, to: path)
          do { _ = try PyTorchCheckpoint.read(path) } catch {
            #expect((error as? Failure)?.description.hasPrefix(path + ": ") == true, "byte \(place): \(error)")
          }
        }
      }
    }
  }
}
