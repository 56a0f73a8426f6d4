import Formats
import Foundation

/// Pieces of a pickle, joined by `+`.
enum Pickled {
  static let none = [UInt8(ascii: "N")]
  static let reduce = [UInt8(ascii: "R")]
  static let stop = [UInt8(ascii: ".")]
  static let dictionary = global("collections", "OrderedDict") + tuple() + reduce

  static func text(_ text: String) -> [UInt8] { Array(text.utf8) }
  static func global(_ module: String, _ name: String) -> [UInt8] { text("c\(module)\n\(name)\n") }
  static func string(_ string: String) -> [UInt8] { [UInt8(ascii: "X")] + little(string.utf8.count, 4) + text(string) }
  static func integer(_ value: Int) -> [UInt8] { [0x8A, 8] + little(value, 8) }
  static func tuple(_ parts: [UInt8]...) -> [UInt8] { text("(") + parts.flatMap { $0 } + text("t") }
  static func integers(_ values: [Int]) -> [UInt8] { text("(") + values.flatMap(integer) + text("t") }

  /// - Parameter part: first element and number of elements, as PyTorch before 1.6 may name a part of a storage.
  static func storage(
    _ type: String = "FloatStorage", key: String = "0", count: Int = 6, part: (offset: Int, count: Int)? = nil
  ) -> [UInt8] {
    let view = part.map { tuple(string("1"), integer($0.offset), integer($0.count)) } ?? []
    return tuple(string("storage"), global("torch", type), string(key), string("cpu"), integer(count), view) + text("Q")
  }

  static func tensor(
    _ storage: [UInt8] = storage(), offset: Int = 0, shape: [Int] = [2, 3], strides: [Int] = [3, 1]
  ) -> [UInt8] {
    global("torch._utils", "_rebuild_tensor_v2")
      + tuple(storage, integer(offset), integers(shape), integers(strides), [0x89], dictionary) + reduce
  }

  /// Makes a state dictionary with one entry, w.
  static func checkpoint(_ value: [UInt8]) -> [UInt8] { whole(text("}") + string("w") + value + text("s")) }

  static func whole(_ value: [UInt8]) -> [UInt8] { [0x80, 2] + value + stop }
}

/// Returns the low `count` bytes of a number, little-endian.
func little(_ value: Int, _ count: Int) -> [UInt8] {
  (0..<count).map { $0 < 8 ? UInt8(truncatingIfNeeded: value >> (8 * $0)) : 0 }
}

/// A file in the layout of torch.save before PyTorch 1.6, part by part.
struct TorchStream {
  static let magic = Pickled.whole([0x8A, 10] + [0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19])

  var version = Pickled.whole(Pickled.integer(1001))
  var system = Pickled.whole(Pickled.text("}") + Pickled.string("little_endian") + [0x88] + Pickled.text("s"))
  var root = Pickled.checkpoint(Pickled.tensor())
  var keys = list("0")
  /// Number of elements and the elements, for each storage.
  var storages = little(6, 8) + TorchFile.elements.withUnsafeBytes { Array($0) }

  static func list(_ keys: String...) -> [UInt8] {
    Pickled.whole(Pickled.text("](") + keys.flatMap(Pickled.string) + Pickled.text("e"))
  }

  var bytes: [UInt8] { Self.magic + version + system + root + keys + storages }
}

/// A zip archive in torch.save's layout. Every part can be changed as in a hostile file.
struct TorchFile {
  struct Record {
    var name: String
    var contents: [UInt8]
    var flags = 0
    var method = 0
    /// Values that replace the true ones.
    var checksum: Int?
    var byteCount: Int?
    var headerOffset: Int?
    var localName: String?
    var extra: [UInt8] = []
  }

  var records: [Record]
  var count: Int?
  var directoryByteCount: Int?
  var directoryOffset: Int?
  var disk = 0
  var isZip64 = false

  static let elements = [1, -2.5, 3, 0.25, -0, 6] as [Float]

  /// Makes a file of a pickle and the records that usually lie beside it.
  init(_ pickle: [UInt8], storage: [UInt8] = elements.withUnsafeBytes { Array($0) }) {
    records = [
      Record(name: "archive/data.pkl", contents: pickle), Record(name: "archive/byteorder", contents: Pickled.text("little")),
      Record(name: "archive/data/0", contents: storage), Record(name: "archive/version", contents: Pickled.text("3\n")),
    ]
  }

  func changed(_ change: (inout TorchFile) -> Void) -> TorchFile {
    var file = self
    change(&file)
    return file
  }

  var bytes: [UInt8] {
    var (body, directory) = ([UInt8](), [UInt8]())
    for record in records {
      let (name, local) = (Pickled.text(record.name), Pickled.text(record.localName ?? record.name))
      let sums = little(record.checksum ?? crc32(record.contents), 4)
      let size = little(record.byteCount ?? record.contents.count, 4)
      let common = little(record.flags, 2) + little(record.method, 2) + little(0, 4) + sums + size + size
      directory += Pickled.text("PK\u{1}\u{2}") + little(0, 4) + common + little(name.count, 2) + little(record.extra.count, 2)
      directory += little(0, 10) + little(record.headerOffset ?? body.count, 4) + name + record.extra
      body +=
        Pickled.text("PK\u{3}\u{4}") + little(0, 2) + common + little(local.count, 2) + little(0, 2) + local + record.contents
    }
    let (count, byteCount) = (count ?? records.count, directoryByteCount ?? directory.count)
    let offset = directoryOffset ?? body.count
    let end = body.count + directory.count
    var bytes = body + directory
    if isZip64 {
      bytes += Pickled.text("PK\u{6}\u{6}") + little(44, 8) + little(0, 12) + little(count, 8) + little(count, 8)
      bytes +=
        little(byteCount, 8) + little(offset, 8) + Pickled.text("PK\u{6}\u{7}") + little(0, 4) + little(end, 8) + little(1, 4)
      return bytes + Pickled.text("PK\u{5}\u{6}") + little(0, 4) + little(-1, 2) + little(-1, 2) + little(-1, 8) + little(0, 2)
    }
    bytes += Pickled.text("PK\u{5}\u{6}") + little(disk, 2) + little(disk, 2) + little(count, 2) + little(count, 2)
    return bytes + little(byteCount, 4) + little(offset, 4) + little(0, 2)
  }

  /// Calculates the CRC-32 of IEEE 802.3, bit by bit.
  private func crc32(_ bytes: [UInt8]) -> Int {
    Int(
      ~bytes.reduce(~0 as UInt32) { sum, byte in
        (0..<8).reduce(sum ^ UInt32(byte)) { sum, _ in sum >> 1 ^ (sum & 1 == 1 ? 0xEDB8_8320 : 0) }
      })
  }
}
