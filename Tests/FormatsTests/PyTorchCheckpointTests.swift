import Compute
import Formats
import Foundation
import Support
import TestSupport
import Testing

/// Checks that files written by torch.save are read bit for bit.
@Suite struct PyTorchCheckpointTests {
  static func fixture(_ name: String, _ ending: String) throws -> String {
    try #require(Bundle.module.path(forResource: "Fixtures/\(name)", ofType: ending))
  }

  @Test(arguments: [
    ("element-types", "", "element-types"), ("views", "", "views"), ("legacy", "", "views"),
    ("containers", "state_dict", "containers"),
    ("protocol3", "model_state_dict", "containers"), ("protocol4", "model_state_dict", "containers"),
    ("protocol5", "model_state_dict", "containers"), ("unknown-objects", "weights", "unknown-objects"),
    ("unknown-objects-legacy", "weights", "unknown-objects"),
  ])
  func tensorsAreRead(name: String, key: String, expected: String) throws {
    let file = try WeightsFile(try Self.fixture(name, "pth"))
    let index = try #require(file.dictionaries.firstIndex { $0.key == key })
    let prefix = expected == "containers" ? "_orig_mod.module." : ""
    let tensors = try file.read(index)
    let wanted = try Safetensors.read(try Self.fixture(expected, "safetensors")).tensors
    #expect(tensors.keys.sorted() == wanted.keys.map { prefix + $0 }.sorted())
    for (name, tensor) in wanted { #expect(tensors[prefix + name] == tensor, "\(name)") }
  }

  /// Checks that each value beside the weights is represented by its kind, and that none is constructed.
  @Test(arguments: ["unknown-objects", "unknown-objects-legacy"])
  func unknownObjectsAreCarried(name: String) throws {
    let file = try WeightsFile(try Self.fixture(name, "pth"))
    let entries = file.dictionaries[0].entries
    func kind(_ name: String) -> String {
      guard case .other(let kind)? = entries.first(where: { $0.name == name })?.value else { return "missing" }
      return kind
    }
    for (name, word) in [
      ("arguments", "'argparse.Namespace'"), ("milestones", "'collections.Counter'"), ("path", "PosixPath'"),
      ("date", "'datetime.datetime'"),
      ("complex", "complex'"), ("set", "set'"), ("code", "'posix.system'"), ("complexTensor", "'torch.ComplexFloatStorage'"),
    ] {
      #expect(kind(name).contains(word), "\(name): \(kind(name))")
    }
    #expect(entries.count == 19)
    #expect(!FileManager.default.fileExists(atPath: "malicious-was-run"))
    let message = failureMessage { _ = try file.read(0) }
    #expect(message.contains("weights are tensors of"))
  }

  @Test func dictionariesAreFoundWhereverTheyStand() throws {
    let p = Pickled.self
    let weights = p.text("}") + p.string("w") + p.tensor() + p.text("s")
    let root =
      p.text("}(") + p.string("list") + p.text("](") + p.none + weights + p.text("e")
      + p.string("pair") + p.tuple(p.integer(1), weights) + p.string("a") + p.text("}") + p.string("b") + weights + p.text("su")
    try withTemporaryFolder { folder in
      try AtomicFile.write(TorchFile(p.whole(root)).bytes, to: folder + "/x")
      let file = try WeightsFile(folder + "/x")
      #expect(file.dictionaries.map(\.key) == ["", "a", "list.1", "pair.1", "a.b"])
      for key in ["list.1", "pair.1", "a.b"] {
        let index = try #require(file.dictionaries.firstIndex { $0.key == key })
        #expect(try file.read(index) == ["w": HostTensor(TorchFile.elements, shape: [2, 3])])
      }
    }
  }

  /// Reads the format of Python 2 and PyTorch before 0.4: strings without an encoding, dictionaries as lists of pairs,
  /// parameters by their class.
  @Test func whatPython2WroteIsRead() throws {
    let p = Pickled.self
    func short(_ text: String) -> [UInt8] { [UInt8(ascii: "U"), UInt8(text.utf8.count)] + p.text(text) }
    let old =
      p.global("torch._utils", "_rebuild_tensor")
      + p.tuple(p.storage(), p.integer(0), p.integers([2, 3]), p.integers([3, 1])) + p.reduce
    let parameter =
      p.global("torch.nn.parameter", "Parameter") + p.tuple(old) + p.reduce + p.tuple([0x88], [0x89], p.dictionary) + p.text("b")
    let pairs = p.text("](](") + short("w") + parameter + p.text("e](") + short("v") + old + p.text("ee")
    let root = p.global("collections", "OrderedDict") + p.tuple(pairs) + p.reduce
    var stream = TorchStream()
    stream.root = p.whole(root)
    let tensor = HostTensor(TorchFile.elements, shape: [2, 3])
    for bytes in [stream.bytes, TorchFile(p.whole(root)).bytes] { #expect(try read(bytes) == ["w": tensor, "v": tensor]) }
  }

  @Test func partsOfStoragesAreRead() throws {
    var stream = TorchStream()
    stream.root = Pickled.checkpoint(Pickled.tensor(Pickled.storage(part: (2, 4)), offset: 1, shape: [3], strides: [1]))
    #expect(try read(stream.bytes) == ["w": HostTensor(Array(TorchFile.elements[3...]), shape: [3])])
  }

  /// Checks long pickles of a stream, which are read in growing parts.
  @Test func longPicklesOfStreamsAreRead() throws {
    var stream = TorchStream()
    let long = [UInt8(ascii: "B")] + little(3 << 20, 4) + [UInt8](repeating: 1, count: 3 << 20)
    stream.root = Pickled.whole(
      Pickled.text("}(") + Pickled.string("history") + long + Pickled.string("weights") + Pickled.text("}") + Pickled.string("w")
        + Pickled.tensor() + Pickled.text("su"))
    try withTemporaryFolder { folder in
      try AtomicFile.write(stream.bytes, to: folder + "/x")
      #expect(try WeightsFile(folder + "/x").read(1) == ["w": HostTensor(TorchFile.elements, shape: [2, 3])])
    }
  }

  @Test func safetensorsAreNoCheckpoint() throws {
    try withTemporaryFolder { folder in
      // A header of 0x280 bytes begins with the same bytes as a pickle.
      let header = Array("{}".utf8) + [UInt8](repeating: 0x20, count: 638)
      try AtomicFile.write(little(0x280, 8) + header, to: folder + "/x")
      #expect(try WeightsFile(folder + "/x").read(0).isEmpty)
    }
  }

  static let good = TorchFile(Pickled.checkpoint(Pickled.tensor()))

  private func read(_ bytes: [UInt8]) throws -> [String: HostTensor] {
    try withTemporaryFolder { folder in
      try AtomicFile.write(bytes, to: folder + "/model.pth")
      return try WeightsFile(folder + "/model.pth").read(0)
    }
  }

  @Test func whatTheTestsWriteIsRead() throws {
    let expected = ["w": HostTensor(TorchFile.elements, shape: [2, 3])]
    #expect(try read(Self.good.bytes) == expected)
    #expect(try read(Self.good.changed { $0.isZip64 = true }.bytes) == expected)
    // The Zip64 field has the size and the position of this record.
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

  @Test func everyTruncationIsFound() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/x"
      for bytes in [Self.good.bytes, Self.good.changed { $0.isZip64 = true }.bytes, TorchStream().bytes] {
        for count in bytes.indices {
          try AtomicFile.write(Array(bytes[..<count]), to: path)
          let message = failureMessage { _ = try WeightsFile(path).read(0) }
          #expect(message.hasPrefix(path + ": "), "\(count) bytes: \(message)")
        }
      }
    }
  }

  /// Checks that every damaged byte is found or belongs to data that nobody reads, and that the program never ends.
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
          do { #expect(try WeightsFile(path).read(0) == expected, "byte \(place)") } catch {
            #expect((error as? Failure)?.description.hasPrefix(path + ": ") == true, "byte \(place): \(error)")
          }
        }
      }
    }
  }

  /// Checks damaged bytes of a stream. It has no checksums, so the tensors may differ.
  @Test func everyDamagedByteOfAStreamIsSurvived() throws {
    let bytes = TorchStream().bytes
    try withTemporaryFolder { folder in
      let path = folder + "/x"
      for place in bytes.indices {
        for byte: UInt8 in [0, 0x28, 0x2E, 0x52, 0x7D, 0x80, 0x8A, bytes[place] ^ 1, bytes[place] ^ 0x80, 0xFF] {
          var damaged = bytes
          damaged[place] = byte
          try AtomicFile.write(damaged, to: path)
          do { _ = try WeightsFile(path).read(0) } catch {
            #expect((error as? Failure)?.description.hasPrefix(path + ": ") == true, "byte \(place): \(error)")
          }
        }
      }
    }
  }

  /// Checks damaged bytes of the pickle, with a matching checksum, so the tensors may differ.
  @Test func everyDamagedPickleIsSurvived() throws {
    let pickle = Pickled.checkpoint(Pickled.tensor())
    try withTemporaryFolder { folder in
      let path = folder + "/x"
      for place in pickle.indices {
        for byte: UInt8 in [0, 0x28, 0x29, 0x2E, 0x30, 0x52, 0x68, 0x74, 0x7D, 0x80, 0x85, 0x8A, 0x93, 0x94, 0xFF] {
          var damaged = pickle
          damaged[place] = byte
          try AtomicFile.write(TorchFile(damaged).bytes, to: path)
          do { _ = try WeightsFile(path).read(0) } catch {
            #expect((error as? Failure)?.description.hasPrefix(path + ": ") == true, "byte \(place): \(error)")
          }
        }
      }
    }
  }
}
