import Support

/// Place of an image's encoded bytes: a file, a member of an archive, or memory.
///
/// ```swift
/// let image = try EncodedImage(ImagePlace(file: "rose.jpg"))
/// print(image.height, image.width)
/// ```
public struct ImagePlace: Hashable, Sendable {
  private enum Storage: Hashable, Sendable {
    case file
    case member(ImageArchive, Int)
    case memory([UInt8])
  }

  /// Name of the image in messages and reports; for a file, its path; for a member of an archive, the archive's path and the
  /// member's name.
  public let path: String
  private let storage: Storage

  /// Names a file. It is opened when its bytes are needed.
  public init(file path: String) { (self.path, storage) = (path, .file) }

  /// Holds the bytes of an image file that is in memory.
  /// - Parameter name: name of the image in messages and reports.
  public init(_ bytes: [UInt8], named name: String) { (path, storage) = (name, .memory(bytes)) }

  init(_ archive: ImageArchive, _ member: Int, path: String) { (self.path, storage) = (path, .member(archive, member)) }

  /// Path of the image's own file; nil if it has none.
  public var file: String? { storage == .file ? path : nil }

  /// Size in bytes of the encoded image, and time when its file, or its archive, was last changed, in nanoseconds since 1970; nil if
  /// there is no such file. For bytes in memory the time is 0.
  package var stamp: (byteCount: Int, time: Int)? {
    switch storage {
    case .file: InputFile.stamp(path)
    case .member(let archive, let index): (archive.byteCount(index), archive.time)
    case .memory(let bytes): (bytes.count, 0)
    }
  }

  /// Reads the encoded image.
  /// - Parameter limit: maximum number of bytes.
  /// - Throws: a ``Failure`` that names the image if it cannot be read or is larger than the limit.
  public func read(atMost limit: Int = ImageLimits().byteCount) throws -> [UInt8] {
    switch storage {
    case .file:
      let file = try InputFile(path)
      try requireSize(file.byteCount, limit)
      return try file.read()
    case .member(let archive, let index): return try archive.read(index, atMost: limit)
    case .memory(let bytes):
      try requireSize(bytes.count, limit)
      return bytes
    }
  }

  private func requireSize(_ byteCount: Int, _ limit: Int) throws {
    guard byteCount <= limit else {
      throw Failure(.unsupported, about: path, "\(byteCount) bytes, over the bound of \(limit)")
    }
  }
}
