import Support

/// Kinds of files, recognized by their contents and never by their names. Every reader checks the kind before it reads, so
/// that a file of another kind is named in the message and not reported as damaged.
package enum FileKind: Sendable, CaseIterable {
  case empty, lfsPointer, html, xml, json, text, pdf
  case zip, gzip, bzip2, xz, zstandard, sevenZip, rar, tar
  case safetensors, torchStream, pickle, onnx, hdf5, numpy
  case tensorFlowModel, tensorFlowIndex, tensorFlowLite, gguf
  case jpeg, png, gif, bmp, tiff, webP

  /// Kinds of files that a reader expects.
  package enum Wanted: String, Sendable {
    case weights
    case tensors = "a safetensors file"
    case model = "an ONNX model"
    case image = "an image"
  }

  /// Name of the kind, with its article.
  package var name: String {
    switch self {
    case .empty: "an empty file"
    case .lfsPointer: "a git-lfs pointer"
    case .html: "an HTML page"
    case .xml: "an XML text"
    case .json: "a JSON text"
    case .text: "a text"
    case .pdf: "a PDF document"
    case .zip: "a zip archive"
    case .gzip: "a file compressed by gzip"
    case .bzip2: "a file compressed by bzip2"
    case .xz: "a file compressed by xz"
    case .zstandard: "a file compressed by zstd"
    case .sevenZip: "a 7z archive"
    case .rar: "a RAR archive"
    case .tar: "a tar archive"
    case .safetensors: "a safetensors file"
    case .torchStream: "a PyTorch file of the format before PyTorch 1.6"
    case .pickle: "a Python pickle that torch.save did not write"
    case .onnx: "an ONNX model"
    case .hdf5: "an HDF5 file, as Keras writes them"
    case .numpy: "a NumPy array"
    case .tensorFlowModel: "a SavedModel of TensorFlow"
    case .tensorFlowIndex: "the index of a TensorFlow checkpoint"
    case .tensorFlowLite: "a TensorFlow Lite model"
    case .gguf: "a GGUF file"
    case .jpeg: "a JPEG picture"
    case .png: "a PNG picture"
    case .gif: "a GIF picture"
    case .bmp: "a BMP picture"
    case .tiff: "a TIFF picture"
    case .webP: "a WebP picture"
    }
  }

  /// Tells why a file of this kind may be there instead of the wanted one; nil if no reason is known.
  private var explanation: String? {
    switch self {
    case .html, .xml: "a server may have sent it instead, as an error or to log in"
    case .lfsPointer: "it stands for a file that was not fetched"
    default: nil
    }
  }

  /// Returns advice for a file of this kind; nil if nothing is known to help.
  private func advice(_ wanted: Wanted) -> String? {
    switch self {
    case .empty: "download the file again"
    case .html, .xml: "download the file itself"
    case .lfsPointer: "do so with git lfs pull, or download it"
    case .zip, .gzip, .bzip2, .xz, .zstandard, .sevenZip, .rar, .tar: "unpack it first"
    case .pickle, .hdf5, .numpy, .tensorFlowModel, .tensorFlowIndex, .tensorFlowLite, .gguf:
      wanted == .weights ? "save the weights as safetensors, or a state_dict() by torch.save" : nil
    default: nil
    }
  }

  /// Returns the failure for a file of this kind where another kind is wanted.
  /// - Parameter path: the file.
  package func failure(_ wanted: Wanted, about path: String) -> Failure {
    let reason = explanation.map { ": \($0)" } ?? ""
    return Failure(
      .damagedFile, about: path, "this is \(name), not \(wanted.rawValue)\(reason)",
      remedy: advice(wanted).map { Message($0) })
  }

  /// Returns the message for a file of this kind where another kind is wanted, without the file's name.
  package func refusal(_ wanted: Wanted) -> String { "this is \(told(where: wanted, not: wanted.rawValue))" }

  /// Returns the name of the kind and the advice for it, for example `a tar archive: unpack it first`.
  /// - Parameters:
  ///   - wanted: the kind of file that is expected.
  ///   - other: the kind that the file is not, if the text should say so.
  package func told(where wanted: Wanted, not other: String? = nil) -> String {
    let named = name + (other.map { ", not \($0)" } ?? "")
    return ([named] + [explanation, advice(wanted)].compactMap { $0 }).joined(separator: ": ")
  }

  /// Determines the kind of a file from its contents; nil if the kind is unknown.
  /// - Throws: a ``Failure`` if the file cannot be read.
  package init?(of file: borrowing InputFile) throws {
    let start = try file.read(min(Self.startByteCount, file.byteCount), at: 0)
    if let kind = FileKind(start: start) {
      self = kind
      return
    }
    // LevelDB tables, TensorFlow's format for index files, end with this magic number.
    guard file.byteCount >= 48, try file.read(8, at: file.byteCount - 8) == Self.tableEnd else { return nil }
    self = .tensorFlowIndex
  }

  private static let startByteCount = 512
  private static let tableEnd: [UInt8] = [0x57, 0xFB, 0x80, 0x8B, 0x24, 0x75, 0x47, 0xDB]

  /// Determines the kind of a file from its first bytes; nil if the kind is unknown.
  /// - Parameter start: the first 512 bytes of the file, or the whole file if it is shorter.
  package init?(start: [UInt8]) {
    let start = start.prefix(Self.startByteCount)
    let kind = start.isEmpty ? .empty : Self.structured(Array(start)) ?? Self.marked(start) ?? Self.written(start)
    guard let kind else { return nil }
    self = kind
  }

  /// Recognizes formats whose first bytes are numbers of any value. They are tried first, since such numbers may look like
  /// the magic bytes of another format.
  private static func structured(_ start: [UInt8]) -> FileKind? {
    guard start.count > 8 else { return nil }
    // Length of the header in eight bytes, followed by the header.
    if start[4..<8].allSatisfy({ $0 == 0 }) && start[8] == UInt8(ascii: "{") { return .safetensors }
    if start[0] == 0x80 && (2...5).contains(start[1]) {
      let isTorch = (2...32).contains { start.dropFirst($0).starts(with: torchMagic) }
      return isTorch ? .torchStream : .pickle
    }
    guard start.count > 16, start[0] == 0x08 else { return nil }
    // Format version, a small number, followed by the tag of one of the fields that programs write next.
    if (3...32).contains(start[1]) && [0x12, 0x1A, 0x22, 0x32, 0x3A, 0x42].contains(start[2]) { return .onnx }
    // Version 1, followed by the second field, the description of a graph.
    return start[1] == 1 && start[2] == 0x12 ? .tensorFlowModel : nil
  }

  /// Magic number at the start of files that `torch.save` wrote before PyTorch 1.6, as an integer of a pickle.
  private static let torchMagic: [UInt8] = [0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19]

  private static func marked(_ start: ArraySlice<UInt8>) -> FileKind? {
    let marks: [(Int, [UInt8], FileKind)] = [
      (0, [0xFF, 0xD8, 0xFF], .jpeg), (0, [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A], .png), (0, Array("GIF8".utf8), .gif),
      (0, Array("II*\0".utf8), .tiff), (0, Array("MM\0*".utf8), .tiff), (8, Array("WEBP".utf8), .webP),
      (0, [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A], .hdf5), (0, [0x93] + "NUMPY".utf8, .numpy),
      (0, Array("PK\u{3}\u{4}".utf8), .zip), (0, Array("PK\u{5}\u{6}".utf8), .zip), (0, [0x1F, 0x8B, 8], .gzip),
      (0, Array("BZh".utf8), .bzip2), (0, [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0], .xz), (0, [0x28, 0xB5, 0x2F, 0xFD], .zstandard),
      (0, [0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C], .sevenZip), (0, Array("Rar!\u{1A}\u{7}".utf8), .rar),
      (257, Array("ustar".utf8), .tar), (4, Array("TFL3".utf8), .tensorFlowLite), (0, Array("GGUF".utf8), .gguf),
      (0, Array("%PDF".utf8), .pdf), (0, Array("version https://git-lfs".utf8), .lfsPointer),
    ]
    if let mark = marks.first(where: { start.dropFirst($0.0).starts(with: $0.1) }) { return mark.2 }
    // Two letters, the size, and four zero bytes.
    return start.starts(with: Array("BM".utf8)) && start.count > 10 && start[6..<10].allSatisfy { $0 == 0 } ? .bmp : nil
  }

  /// Recognizes text formats by their beginning, after a byte order mark and white space.
  private static func written(_ start: ArraySlice<UInt8>) -> FileKind? {
    let isControl = { (byte: UInt8) in byte < 0x20 && ![0x09, 0x0A, 0x0C, 0x0D].contains(byte) || byte == 0x7F }
    guard !start.contains(where: isControl) else { return nil }
    let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
    let body = (start.starts(with: mark) ? start.dropFirst(3) : start).drop { $0 <= 0x20 }
    let text = String(decoding: body, as: UTF8.self).lowercased()
    // The last character may have been cut off.
    let isText = (0...3).contains { String(validating: start.dropLast($0), as: UTF8.self) != nil }
    let beginnings: [(String, FileKind)] = [
      ("<!doctype html", .html), ("<html", .html), ("<head", .html), ("<body", .html), ("<!--", .html), ("<?xml", .xml),
      ("<svg", .xml), ("{", .json), ("[", .json),
    ]
    return beginnings.first { text.hasPrefix($0.0) }?.1 ?? (isText ? .text : nil)
  }
}
