import Compute
import Formats
import Foundation
import Support
import TestSupport
import Testing

/// Tests names that look alike in two Unicode forms.
@Suite struct NameTests {
  private static let composed = "caf\u{E9}"
  private static let decomposed = "cafe\u{301}"

  @Test func aNameIsItsBytes() {
    #expect(Self.composed == Self.decomposed && Name(Self.composed) != Name(Self.decomposed))
    #expect(Set([Self.composed, Self.decomposed, Self.composed].map(Name.init)).count == 2)
    #expect(Name(Self.decomposed) < Name("cafz") && Name("cafz") < Name(Self.composed))
    #expect(spelled(Self.composed) == "caf\\u{00E9}" && spelled("a\n") == "a\\n")
    #expect(lookalikes(among: ["b", Self.composed, Self.decomposed, "b"]) == ["caf\\u{00E9}", "cafe\\u{0301}"])
  }

  /// Checks that the same bytes are preferred to another form, and that another form is accepted only if a single name can
  /// be meant.
  @Test func namesAreFoundInTables() {
    let (c, d) = (Self.composed, Self.decomposed)
    #expect(places(of: ["b", c], in: [c, "a", "b"]) == [2, 0])
    #expect(places(of: ["b", d], in: [c, "a", "b"]) == [2, 0])
    #expect(places(of: [c, d], in: [d, c]) == [1, 0])
    #expect(places(of: [c], in: [d, c]) == [1])
    #expect(places(of: [c, d], in: [c]) == [0, nil])
    // The letter ở has more than two forms: either of these may be meant.
    #expect(places(of: ["\u{1EDF}"], in: ["\u{1A1}\u{309}", "o\u{31B}\u{309}"]) == [nil])
    #expect(places(of: ["\u{1A1}\u{309}", "o\u{31B}\u{309}"], in: ["\u{1EDF}"]) == [nil, nil])
    #expect(places(of: ["a"], in: ["a", "a"]) == [0] && places(of: [], in: []) == [])
  }

  @Test func numbersHaveAnOrder() {
    #expect(orderByNumber(["0", "1", "10", "11", "2"]) == [0, 1, 4, 2, 3])
    #expect(orderByNumber(["01", "1", "007"]) == [0, 1, 2])
    for others in [["0", "a"], ["-1"], [""], ["+1"], ["1.5"], ["٣"], ["99999999999999999999"]] {
      #expect(orderByNumber(others) == nil, "\(others)")
    }
  }

  @Test func linesOfTextFiles() {
    #expect(textLines([0xEF, 0xBB, 0xBF] + Array("ant\r\nb e\n\ncat".utf8)) == ["ant", "b e", "", "cat"])
    #expect(textLines(Array("ant\n\u{FEFF}bee\n".utf8)) == ["ant", "\u{FEFF}bee"])
    #expect(textLines([]) == [] && textLines([0xFF, 0xFE, 0x61, 0]) == nil)
  }

  @Test func membersOfObjectsAreToldApart() throws {
    let object = try JSON(parsing: "{\"\(Self.composed)\":1,\"\(Self.decomposed)\":2}")
    #expect(object[Self.composed] == .integer(1) && object[Self.decomposed] == .integer(2))
  }

  /// Checks that two tensors with names that look alike are refused, since one would be lost. Such metadata are accepted,
  /// but not kept.
  @Test func safetensors() throws {
    try withTemporaryFolder { folder in
      func write(_ header: String, _ count: Int) throws {
        let length = (0..<8).map { UInt8(truncatingIfNeeded: header.utf8.count >> (8 * $0)) }
        try AtomicFile.write(length + Array(header.utf8) + [UInt8](repeating: 1, count: count), to: folder + "/x")
      }
      let fields = #""dtype":"U8","shape":[1],"data_offsets""#
      try write("{\"\(Self.composed)\":{\(fields):[0,1]},\"\(Self.decomposed)\":{\(fields):[1,2]}}", 2)
      let message = failureMessage { _ = try Safetensors.read(folder + "/x") }
      #expect(message.hasPrefix(folder + "/x: ") && message.contains("'caf\\u{00E9}' and 'cafe\\u{0301}'"), "\(message)")
      try write("{\"__metadata__\":{\"\(Self.composed)\":\"1\",\"\(Self.decomposed)\":\"2\",\"a\":\"b\"}}", 0)
      #expect(try Safetensors.read(folder + "/x").metadata["a"] == "b")

      let tensor = HostTensor([1] as [UInt8], shape: [1])
      for (names, says) in [
        ([Self.composed, Self.decomposed], "'caf\\u{00E9}' and 'cafe\\u{0301}'"), (["a", "a"], "'a' is there twice"),
        (["__metadata__"], "cannot be called __metadata__"),
      ] {
        let refused = failureMessage { try Safetensors.write(names.map { ($0, tensor) }, metadata: [:], to: folder + "/y") }
        #expect(refused.hasPrefix(folder + "/y: ") && refused.contains(says), "\(refused)")
      }
      #expect(!FileManager.default.fileExists(atPath: folder + "/y"))
    }
  }

  @Test func pyTorchsFiles() throws {
    typealias P = Pickled
    func read(_ file: TorchFile) throws -> [String: HostTensor] {
      try withTemporaryFolder { folder in
        try AtomicFile.write(file.bytes, to: folder + "/x.pth")
        return try WeightsFile(folder + "/x.pth").read(0)
      }
    }
    func file(_ entries: [(name: String, storage: String)]) -> TorchFile {
      let pairs = entries.flatMap { P.string($0.name) + P.tensor(P.storage(key: $0.storage)) }
      return TorchFile(P.whole(P.text("}(") + pairs + P.text("u")))
    }
    let twins = file([(Self.composed, "0"), (Self.decomposed, "0")])
    let message = failureMessage { _ = try read(twins) }
    #expect(message.contains("'caf\\u{00E9}' and 'cafe\\u{0301}'"), "\(message)")
    // Storages are found by the bytes of their names.
    var storages = file([("a", Self.composed), ("b", Self.decomposed)])
    for (name, value) in [(Self.composed, 1), (Self.decomposed, 2)] as [(String, Float)] {
      let bytes = [Float](repeating: value, count: 6).withUnsafeBytes { Array($0) }
      storages.records.append(TorchFile.Record(name: "archive/data/\(name)", contents: bytes))
    }
    let tensors = try read(storages)
    #expect(tensors["a"]?.floats == [1, 1, 1, 1, 1, 1] && tensors["b"]?.floats == [2, 2, 2, 2, 2, 2])
  }
}
