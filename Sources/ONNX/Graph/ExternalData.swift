import ONNXProto
import Support

/// Values of a tensor in a file beside the model, where programs keep the values of large models (ONNX, "External data").
struct ExternalData {
  private let path: String
  private let offset, byteCount: Int

  /// Finds the place of the values.
  /// - Parameter byteCount: number of bytes of the tensor.
  /// - Throws: ``Failure`` if the values are outside the folder or of another size.
  init(_ tensor: Onnx_TensorProto, byteCount: Int, in folder: String) throws {
    let entries = Dictionary(tensor.externalData.map { ($0.key, $0.value) }) { first, _ in first }
    guard let location = entries["location"], !location.isEmpty else {
      throw Failure(.damagedFile, "it does not say which file its values are in")
    }
    // A model must not read any other file of the machine.
    guard !location.hasPrefix("/"), !location.split(separator: "/").contains("..") else {
      throw Failure(.damagedFile, "its values are in '\(shortened(location))', and only files beside the model or below are read")
    }
    func number(_ key: String) throws -> Int? {
      guard let text = entries[key] else { return nil }
      guard let value = Int(text), value >= 0 else {
        throw Failure(.damagedFile, "the \(key) of its values is '\(shortened(text))'")
      }
      return value
    }
    offset = try number("offset") ?? 0
    let length = try number("length") ?? byteCount
    guard length == byteCount else {
      throw Failure(.damagedFile, "it has \(length) bytes in another file, and takes \(byteCount)")
    }
    self.byteCount = byteCount
    path = "\(folder)/\(location)"
  }

  /// Reads the values.
  /// - Throws: ``Failure`` if the file is missing or too short.
  func read() throws -> [UInt8] {
    let file = try InputFile(path)
    guard byteCount <= file.byteCount, offset <= file.byteCount - byteCount else {
      throw Failure(
        .damagedFile, "\(path) has \(file.byteCount) bytes, and its values end at \(offset) + \(byteCount): it is truncated")
    }
    return try file.read(byteCount, at: offset)
  }
}
