import Formats
import Support
import TestSupport
import Testing

/// A file that no honest program writes, and the texts that the message must contain.
struct Hostile: CustomTestStringConvertible, Sendable {
  let testDescription: String
  let bytes: [UInt8]
  let says: [String]

  init(_ what: String, _ file: TorchFile, _ says: String...) {
    (testDescription, bytes, self.says) = (what, file.bytes, says)
  }

  init(_ what: String, bytes: [UInt8], _ says: String...) { (testDescription, self.bytes, self.says) = (what, bytes, says) }

  /// Makes an archive with this pickle.
  init(_ what: String, _ pickle: [UInt8], _ says: String...) {
    (testDescription, bytes, self.says) = (what, TorchFile(pickle).bytes, says)
  }

  /// Makes a state dictionary with this value.
  init(_ what: String, value: [UInt8], _ says: String...) {
    (testDescription, bytes, self.says) = (what, TorchFile(Pickled.checkpoint(value)).bytes, says)
  }
}

/// Checks that each file gives one line that names the file and its error, that nothing is executed, and that nothing large
/// is allocated.
@Suite struct HostileCheckpointTests {
  @Test(arguments: archives + pickles + calls + tensors + dictionaries + streams)
  func isRefused(_ hostile: Hostile) throws {
    try withTemporaryFolder { folder in
      let path = folder + "/model.pth"
      try AtomicFile.write(hostile.bytes, to: path)
      let message = failureMessage { _ = try WeightsFile(path).read(0) }
      #expect(
        message.hasPrefix(path + ": ") && !message.contains("\n") && message.utf8.count < path.utf8.count + 300, "\(message)")
      for part in hostile.says { #expect(message.contains(part), "\(message)") }
    }
  }

  private static let good = PyTorchCheckpointTests.good
  private static let p = Pickled.self

  static let archives = [
    Hostile("nothing", bytes: [], "empty"),
    Hostile("a magic number alone", bytes: [0x50, 0x4B, 3, 4], "truncated"),
    Hostile("other bytes", bytes: [UInt8](repeating: 7, count: 500), "of another format"),
    Hostile("an end without a directory", bytes: Array(good.bytes.suffix(22)), "outside the file"),
    Hostile("bytes after the end", bytes: good.bytes + [0], "without its end"),
    Hostile("no data.pkl", good.changed { $0.records.removeFirst() }, "no record data.pkl"),
    Hostile(
      "two data.pkl", good.changed { $0.records.append(.init(name: "other/data.pkl", contents: [1])) }, "2 records data.pkl"),
    Hostile("no storage", good.changed { $0.records.remove(at: 2) }, "tensor 'w'", "archive/data/0", "missing"),
    Hostile("a record twice", good.changed { $0.records.append($0.records[2]) }, "archive/data/0", "twice"),
    Hostile("a compressed record", good.changed { $0.records[2].method = 8 }, "archive/data/0", "compressed"),
    Hostile("an encrypted record", good.changed { $0.records[0].flags = 1 }, "archive/data.pkl", "encrypted"),
    Hostile("another checksum", good.changed { $0.records[2].checksum = 5 }, "archive/data/0", "checksum"),
    Hostile("another local name", good.changed { $0.records[2].localName = "archive/data/1" }, "another name"),
    Hostile("a record longer than the file", good.changed { $0.records[0].byteCount = 1 << 20 }, "data.pkl", "overlaps"),
    Hostile(
      "a record beyond the file", good.changed { $0.records[0].headerOffset = 1 << 31 }, "archive/data.pkl", "overlaps"),
    Hostile("two records in one place", good.changed { $0.records[1].headerOffset = 0 }, "archive/byteorder", "another name"),
    Hostile("a record within another", good.changed { $0.records[3].headerOffset = 80 }, "data.pkl", "overlaps"),
    Hostile("no header where a record is said to be", good.changed { $0.records[1].headerOffset = 13 + 300 }, "no header"),
    Hostile("65535 records", good.changed { $0.count = 65535 }, "cannot hold 65535 records"),
    Hostile("too few records", good.changed { $0.count = 1 }, "more bytes than its records"),
    Hostile("2^60 records", good.changed { ($0.isZip64, $0.count) = (true, 1 << 60) }, "cannot hold"),
    Hostile("-1 records", good.changed { ($0.isZip64, $0.count) = (true, -1) }, "outside the file"),
    Hostile("a directory of 2^62 bytes", good.changed { ($0.isZip64, $0.directoryByteCount) = (true, 1 << 62) }, "outside"),
    Hostile("a directory before the file", good.changed { ($0.isZip64, $0.directoryOffset) = (true, -8) }, "outside"),
    Hostile("a directory beyond the file", good.changed { $0.directoryOffset = 1 << 31 }, "outside the file"),
    Hostile("a directory elsewhere", good.changed { $0.directoryOffset = 3 }, "directory is damaged"),
    Hostile("one of several parts", good.changed { $0.disk = 1 }, "several parts"),
    Hostile(
      "a Zip64 field of 2^63 bytes",
      good.changed {
        $0.records[2].byteCount = 0xFFFF_FFFF
        $0.records[2].extra = little(1, 2) + little(16, 2) + little(.min, 8) + little(.min, 8)
      }, "directory is damaged"),
    Hostile(
      "a Zip64 field of 2^61 bytes",
      good.changed {
        $0.records[2].byteCount = 0xFFFF_FFFF
        $0.records[2].extra = little(1, 2) + little(16, 2) + little(1 << 61, 8) + little(1 << 61, 8)
      }, "tensor 'w'", "2305843009213693952 bytes"),
    Hostile("big-endian", good.changed { $0.records[1].contents = p.text("big") }, "byte order is 'big'"),
    Hostile(
      "TorchScript", good.changed { $0.records.append(.init(name: "archive/constants.pkl", contents: [])) }, "TorchScript"),
    Hostile(
      "another pickle", bytes: [0x80, 2, 0x8A, 10] + [UInt8](repeating: 1, count: 10), "a Python pickle that torch.save did not"),
  ]

  static let pickles = [
    Hostile("no pickle", [UInt8](), "byte 0", "ends early"),
    Hostile("text", p.text("hello"), "byte 0", "not a pickle"),
    Hostile("protocol 1", [0x80, 1] + p.none + p.stop, "protocol 1"),
    Hostile("protocol 6", [0x80, 6] + p.none + p.stop, "protocol 6"),
    Hostile("no STOP", [0x80, 2] + p.none, "byte 3", "without a STOP"),
    Hostile("an empty stack", p.whole([]), "byte 2", "not there"),
    Hostile("values too many", p.whole(p.none + p.none), "1 values too many"),
    Hostile("a mark too many", p.whole(p.none + p.text("(")), "a value is taken that is not there"),
    Hostile("bytes after STOP", p.whole(p.text("}")) + [1], "bytes follow"),
    Hostile("a tuple without a mark", p.whole(p.text("t")), "byte 2", "a mark is taken"),
    Hostile("a tuple from nothing", p.whole([0x87]), "a value is taken"),
    Hostile("a value from below a mark", p.whole(p.none + p.text("(") + [0x85]), "a value is taken"),
    Hostile("an odd number of keys and values", p.whole(p.text("}(") + p.none + p.text("u")), "1 values are set"),
    Hostile("items of a list", p.whole(p.text("]") + p.none + p.none + p.text("s")), "a list"),
    Hostile("an append to a dictionary", p.whole(p.text("}") + p.none + p.text("a")), "a dictionary"),
    Hostile("an append to nothing", p.whole(p.none + p.text("a")), "a value is taken"),
    Hostile("an unknown place of the memo", p.whole(p.text("h") + [9]), "value 9 of the memo"),
    Hostile("the memo's last place", p.whole(p.text("j") + little(-1, 4)), "value 4294967295 of the memo"),
    Hostile("a memo of nothing", p.whole([0x94]), "a value is taken"),
    Hostile("a string of 4 GB", p.whole(p.text("X") + little(-1, 4)), "ends early"),
    Hostile("a string of 2^63 bytes", p.whole([0x8D] + little(.min, 8)), "ends early"),
    Hostile("an integer of 4 GB", p.whole([0x8B] + little(-1, 4)), "ends early"),
    Hostile("bytes of 2^62", p.whole([0x8E] + little(1 << 62, 8)), "ends early"),
    Hostile("a frame of 2^62 bytes", p.whole([0x95] + little(1 << 62, 8)), "frame"),
    Hostile("a string that is not UTF-8", p.whole([0x8C, 2, 0xFF, 0xFE]), "UTF-8"),
    Hostile("a name without an end", [0x80, 2] + p.text("cos\nsystem"), "within a name"),
    Hostile("a frozen set of nothing", p.whole([0x91]), "a mark is taken"),
    Hostile("items of an integer", p.whole(p.integer(1) + p.text("(") + p.none + [0x90]), "an integer as if it were a set"),
    Hostile("an unknown opcode", p.whole([0xFF]), "byte 2", "0xFF"),
    Hostile("opcode INT", p.whole(p.text("I123456789012345678901234567890\n")), "0x49, INT"),
    Hostile("opcode LONG", p.whole(p.text("L1L\n")), "0x4C, LONG"),
    Hostile("opcode EXT1", p.whole([0x82, 1]), "0x82, EXT1"),
    Hostile("opcode EXT4", p.whole([0x84, 1, 0, 0, 0]), "0x84, EXT4"),
    Hostile("opcode PERSID", p.whole(p.text("P1\n")), "0x50, PERSID"),
    Hostile("opcode NEXT_BUFFER", p.whole([0x97]), "0x97, NEXT_BUFFER"),
    Hostile("two protocols", p.whole([0x80, 2]), "byte 2", "a second PROTO"),
    Hostile("two million values", p.whole([UInt8](repeating: 0x4E, count: 2_000_000)), "more than 1048576 values"),
    Hostile("two million marks", p.whole([UInt8](repeating: 0x28, count: 2_000_000)), "more than 1048576 values"),
    Hostile("two million dictionaries", p.whole([UInt8](repeating: 0x7D, count: 2_000_000)), "more than 1048576 values"),
    Hostile(
      "a memo of two million", p.whole(p.none + [UInt8](repeating: 0x94, count: 2_000_000)), "more than 1048576 values"),
    Hostile(
      "tuples a million deep", value: p.none + [UInt8](repeating: 0x85, count: 1_000_000), "'w' is a tuple"),
    Hostile(
      "dictionaries 100,000 deep",
      value: (0..<100_000).flatMap { _ in p.text("}") + p.none } + p.none + [UInt8](repeating: 0x73, count: 100_000),
      "'w' is a dictionary"),
    Hostile(
      "a dictionary that holds itself", p.whole(p.text("}q\u{1}") + p.string("w") + p.text("h\u{1}s")), "'w' is a dictionary"),
  ]

  private static func run(_ module: String, _ name: String) -> [UInt8] {
    p.global(module, name) + p.tuple(p.string("touch hostile")) + p.reduce
  }

  static let calls = [
    Hostile("os.system", value: run("os", "system"), "'os.system'", "if it were run"),
    Hostile("posix.system", value: run("posix", "system"), "'posix.system'"),
    Hostile("nt.system", value: run("nt", "system"), "'nt.system'"),
    Hostile("builtins.eval", value: run("builtins", "eval"), "'builtins.eval'"),
    Hostile("__builtin__.getattr", value: run("__builtin__", "getattr"), "'__builtin__.getattr'"),
    Hostile("subprocess.Popen", value: run("subprocess", "Popen"), "'subprocess.Popen'"),
    Hostile("torch.load", value: run("torch", "load"), "'torch.load'"),
    Hostile("torch._utils.anything", value: run("torch._utils", "_import_dotted_name"), "_import_dotted_name"),
    Hostile("a whole module", value: run("torchvision.models.resnet", "ResNet"), "torchvision.models.resnet.ResNet"),
    Hostile(
      "a module instead of a dictionary", p.whole(run("torchvision.models.resnet", "ResNet")), "torchvision.models.resnet.ResNet",
      "save model.state_dict()"),
    Hostile("a name as it may be hidden", value: run("collections", "OrderedDict\u{0}"), "OrderedDict\\0"),
    Hostile("a name by STACK_GLOBAL", value: p.string("os") + p.string("system") + [0x93], "'os.system'"),
    Hostile("STACK_GLOBAL of numbers", value: p.integer(1) + p.integer(2) + [0x93], "an integer and an integer"),
    Hostile("a name of 100,000 letters", value: run(String(repeating: "x", count: 100_000), "y"), "xxx…"),
    Hostile("a complex tensor", value: p.tensor(p.storage("ComplexFloatStorage")), "torch.ComplexFloatStorage"),
    Hostile("opcode INST", value: p.text("(ios\nsystem\n"), "'os.system'"),
    Hostile("opcode INST without a mark", value: p.text("ios\nsystem\n"), "a mark is taken"),
    Hostile("opcode OBJ", value: p.text("(") + p.global("os", "system") + p.string("touch hostile") + p.text("o"), "'os.system'"),
    Hostile("opcode OBJ of nothing", value: p.text("(o"), "a class is taken"),
    Hostile("opcode NEWOBJ", value: p.global("os", "system") + p.tuple(p.string("touch hostile")) + [0x81], "'os.system'"),
    Hostile(
      "opcode NEWOBJ of a dictionary", value: p.global("collections", "OrderedDict") + p.tuple() + [0x81], "'w' is a dictionary"),
    Hostile(
      "opcode NEWOBJ_EX", value: p.global("os", "system") + p.tuple(p.string("touch hostile")) + p.text("}") + [0x92],
      "'os.system'"),
    Hostile(
      "a state of what is not run", value: run("os", "system") + p.text("}") + p.string("x") + p.none + p.text("sb"),
      "'os.system'"),
    Hostile("a call of what is not run", value: run("os", "system") + p.tuple() + p.reduce, "'os.system'"),
    Hostile(
      "descriptions of descriptions",
      value: run("os", "system")
        + (0..<10_000).flatMap { _ in
          p.text("q\u{1}0") + p.global("torch._tensor", "_rebuild_from_type_v2")
            + p.tuple(p.text("h\u{1}"), p.none, p.tuple(), p.none)
            + p.reduce
        }, "a tensor made by a tensor made by"),
    Hostile("BUILD on a tensor", value: p.tensor() + p.text("}b"), "a tensor is given a state"),
    Hostile("BUILD on a number", value: p.integer(1) + p.text("}b"), "an integer is given a state"),
    Hostile("BUILD on a dictionary", value: p.dictionary + p.tuple(p.none, p.text("}")) + p.text("b"), "'w' is a dictionary"),
    Hostile(
      "BUILD on a tensor by its parts", value: p.tensor() + p.tuple(p.integer(1)) + p.text("b"), "a tensor is given a state"),
    Hostile("a call of a number", value: p.integer(1) + p.tuple() + p.reduce, "an integer is called"),
    Hostile("a call without a tuple", value: p.global("torch", "Size") + p.text("]") + p.reduce, "called with a list"),
    Hostile("a call of a class", value: p.global("torch", "FloatStorage") + p.tuple() + p.reduce, "FloatStorage is called"),
    Hostile(
      "an OrderedDict of a number", value: p.global("collections", "OrderedDict") + p.tuple(p.integer(1)) + p.reduce,
      "collections.OrderedDict is given an integer"),
    Hostile(
      "an OrderedDict of something else than pairs",
      value: p.global("collections", "OrderedDict") + p.tuple(p.text("]") + p.tuple(p.none) + p.text("a")) + p.reduce,
      "collections.OrderedDict is given a list"),
    Hostile("a Size of a number", value: p.global("torch", "Size") + p.tuple(p.integer(3)) + p.reduce, "torch.Size is given"),
    Hostile(
      "a parameter of a number",
      value: p.global("torch._utils", "_rebuild_parameter") + p.tuple(p.integer(1), [0x88], p.dictionary) + p.reduce,
      "_rebuild_parameter is given an integer"),
  ]

  private static func rebuilt(_ arguments: [UInt8]...) -> [UInt8] {
    p.global("torch._utils", "_rebuild_tensor_v2") + p.text("(") + arguments.flatMap { $0 } + p.text("t") + p.reduce
  }

  private static func shaped(_ what: String, _ shape: [Int], _ strides: [Int], offset: Int = 0, _ says: String) -> Hostile {
    Hostile(what, value: p.tensor(offset: offset, shape: shape, strides: strides), "byte ", says)
  }

  static let tensors = [
    shaped("a tensor longer than its storage", [7], [1], "element, 6, past the end of its storage of 6"),
    shaped("an offset past the end", [1], [1], offset: 6, "past the end"),
    shaped("a negative offset", [1], [1], offset: -1, "begins at element -1"),
    shaped("the last offset", [2], [1], offset: .max, "past the end"),
    shaped("a negative stride", [2, 3], [-3, 1], "negative stride, -3"),
    shaped("a negative size", [-2, 3], [3, 1], "negative size, -2"),
    shaped("strides too few", [2, 3], [1], "has 1 strides"),
    shaped("65 dimensions", [Int](repeating: 1, count: 65), [Int](repeating: 1, count: 65), "a tensor of 65 dimensions"),
    shaped("2^126 elements", [1 << 42, 1 << 42, 1 << 42], [0, 0, 0], "too large"),
    shaped("a size of 2^63 - 1", [.max], [1], "too large"),
    shaped("a stride of 2^63 - 1", [3], [.max], "past the end"),
    shaped("strides that add up past 2^63", [2, 2], [.max, .max], "past the end"),
    Hostile("one element shown 2^40 times", value: p.tensor(shape: [1 << 40], strides: [0]), "eight times the file"),
    Hostile(
      "one storage shown 9000 times",
      TorchFile(
        p.whole(
          p.text("}(") + p.string("0") + p.tensor(p.storage(count: 4096), shape: [4096], strides: [1]) + p.text("q\u{1}")
            + (1..<9000).flatMap { p.string("\($0)") + p.text("h\u{1}") } + p.text("u")),
        storage: [UInt8](repeating: 0, count: 4 * 4096)), "eight times the file"),
    Hostile(
      "a storage of other size", value: p.tensor(p.storage(count: 7), shape: [7], strides: [1]),
      "storage of 7 elements is 24 bytes"),
    Hostile("a storage of other type", value: p.tensor(p.storage("DoubleStorage")), "tensor 'w'", "24 bytes"),
    Hostile("a storage of -1 elements", value: p.tensor(p.storage(count: -1)), "not referred to as PyTorch does"),
    Hostile("a storage of 2^62 elements", value: p.tensor(p.storage(count: 1 << 62)), "storage of 4611686018427387904 elements"),
    Hostile("a storage elsewhere", value: p.tensor(p.storage(key: "../../etc/passwd")), "etc/passwd", "missing"),
    Hostile("a storage that is none", value: p.integer(1) + p.text("Q"), "not referred to as PyTorch does"),
    Hostile("a storage of four fields", value: p.tuple(p.string("storage"), p.none, p.none, p.none) + p.text("Q"), "storage"),
    Hostile(
      "a tensor of untyped bytes", value: p.tensor(p.storage("UntypedStorage", count: 24)),
      "_rebuild_tensor_v2 is given a storage"),
    Hostile("a tensor of nothing", value: rebuilt(), "is given nothing"),
    Hostile(
      "a shape of strings",
      value: rebuilt(p.storage(), p.integer(0), p.tuple(p.string("2")), p.integers([1]), [0x89], p.dictionary),
      "is given a storage"),
    Hostile(
      "a size of more than 64 bits",
      value: rebuilt(
        p.storage(), p.integer(0), p.tuple([0x8A, 9] + little(-1, 9)), p.integers([1]), [0x89], p.dictionary),
      "is given a storage"),
  ]

  static let dictionaries = [
    Hostile("a tensor alone", p.whole(p.tensor()), "holds a tensor"),
    Hostile("a list", p.whole(p.text("]")), "holds a list"),
    Hostile("a number", value: p.integer(1), "'w' is an integer"),
    Hostile("a key that is no name", p.whole(p.text("}") + p.integer(1) + p.tensor() + p.text("s")), "an integer as a key"),
    Hostile(
      "a name twice", p.whole(p.text("}(") + p.string("w") + p.tensor() + p.string("w") + p.tensor() + p.text("u")),
      "'w' is there twice"),
    Hostile(
      "a number in the inner dictionary",
      p.whole(p.text("}") + p.string("model") + p.text("}") + p.string("x\n") + p.none + p.text("ss")),
      "'model' is a dictionary"),
    Hostile("a name for the terminal", p.whole(p.text("}") + p.string("x\n") + p.none + p.text("s")), "'x\\n' is None"),
  ]

  private static let stream = TorchStream()
  private static func stream(_ change: (inout TorchStream) -> Void) -> [UInt8] {
    var changed = stream
    change(&changed)
    return changed.bytes
  }

  /// Files in the format before PyTorch 1.6.
  static let streams = [
    Hostile("a magic number alone", bytes: TorchStream.magic, "ends early"),
    Hostile("a stream of version 1002", bytes: stream { $0.version = p.whole(p.integer(1002)) }, "a version that is not known"),
    Hostile("a stream of no version", bytes: stream { $0.version = p.whole(p.none) }, "a version that is not known"),
    Hostile("a stream of no machine", bytes: stream { $0.system = p.whole(p.text("]")) }, "the machine"),
    Hostile(
      "a big-endian stream",
      bytes: stream { $0.system = p.whole(p.text("}") + p.string("little_endian") + [0x89] + p.text("s")) },
      "big-endian"),
    Hostile("a pickle without an end", bytes: stream { $0.root = [0x80, 2] + p.text("X") + little(1 << 30, 4) }, "ends early"),
    Hostile(
      "a list of tensors in a stream", bytes: stream { $0.root = p.whole(p.text("]") + p.tensor() + p.text("a")) }, "holds a list"
    ),
    Hostile("no keys of storages", bytes: stream { $0.keys = p.whole(p.none) }, "None where its storages' keys"),
    Hostile(
      "a key that is a number", bytes: stream { $0.keys = p.whole(p.text("]") + p.integer(0) + p.text("a")) }, "is no string"),
    Hostile("a storage too few", bytes: stream { $0.keys = p.whole(p.text("]")) }, "32 bytes follow its last storage"),
    Hostile(
      "a storage that nothing refers to", bytes: stream { $0.keys = TorchStream.list("7") }, "'7'", "a type that is not read"),
    Hostile(
      "a key in another Unicode form",
      bytes: stream { ($0.root, $0.keys) = (p.checkpoint(p.tensor(p.storage(key: "\u{E9}"))), TorchStream.list("e\u{301}")) },
      "a type that is not read"),
    Hostile(
      "a storage twice", bytes: stream { ($0.keys, $0.storages) = (TorchStream.list("0", "0"), $0.storages + $0.storages) },
      "twice"),
    Hostile("a storage without a size", bytes: stream { $0.storages = little(6, 4) }, "'0' is not there; the file is truncated"),
    Hostile(
      "2^61 elements", bytes: stream { $0.storages.replaceSubrange(..<8, with: little(1 << 61, 8)) },
      "2305843009213693952 elements"),
    Hostile("2^62 elements", bytes: stream { $0.storages.replaceSubrange(..<8, with: little(1 << 62, 8)) }, "only 24 bytes"),
    Hostile("-1 elements", bytes: stream { $0.storages.replaceSubrange(..<8, with: little(-1, 8)) }, "-1 elements"),
    Hostile("seven elements", bytes: stream { $0.storages.replaceSubrange(..<8, with: little(7, 8)) }, "truncated or damaged"),
    Hostile("five elements", bytes: stream { $0.storages.replaceSubrange(..<8, with: little(5, 8)) }, "4 bytes follow"),
    Hostile("bytes after a stream", bytes: stream.bytes + [0], "1 bytes follow its last storage"),
    Hostile(
      "a storage of two types",
      bytes: stream {
        $0.root = p.whole(
          p.text("}(") + p.string("w") + p.tensor() + p.string("x") + p.storage("DoubleStorage") + p.text("u"))
      }, "as of two types"),
    Hostile(
      "a part past the end", bytes: stream { $0.root = p.checkpoint(p.tensor(p.storage(part: (4, 3)))) }, "not referred to"),
    Hostile(
      "a part before the beginning", bytes: stream { $0.root = p.checkpoint(p.tensor(p.storage(part: (-1, 3)))) },
      "not referred to"),
    Hostile(
      "a part of 2^63 - 1", bytes: stream { $0.root = p.checkpoint(p.tensor(p.storage(part: (1, .max)))) }, "not referred to"),
    Hostile(
      "a tensor longer than its part", bytes: stream { $0.root = p.checkpoint(p.tensor(p.storage(part: (1, 5)))) }, "storage of 5"
    ),
    Hostile(
      "code in a stream",
      bytes: stream { ($0.root, $0.keys, $0.storages) = (p.checkpoint(run("os", "system")), TorchStream.list(), []) },
      "'os.system'"),
  ]
}
