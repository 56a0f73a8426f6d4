import CZlib
import Support

/// Reader of a file from front to back. Of a gzip file (RFC 1952) it returns the inflated contents.
struct InflatingReader: ~Copyable {
  private let file: InputFile
  /// State of zlib; nil for a file that is read as it is. It lies on the heap because zlib keeps its address.
  private let stream: UnsafeMutablePointer<z_stream>?
  /// Compressed bytes that were read from the file and are not inflated yet.
  private var input: ArraySlice<UInt8> = []
  private var offset = 0
  private var isAtEnd = false

  init(_ path: String) throws {
    let file = try InputFile(path)
    if file.byteCount >= 2, try file.read(2, at: 0) == [0x1F, 0x8B] {
      let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
      stream.initialize(to: z_stream())
      // The logarithm of the window plus sixteen requests a gzip header and its checksum.
      guard inflateInit2_(stream, 16 + 15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
        stream.deallocate()
        throw Failure(.outOfMemory, "cannot read \(path): zlib does not start")
      }
      self.stream = stream
    } else {
      stream = nil
    }
    self.file = file
  }

  deinit {
    guard let stream else { return }
    inflateEnd(stream)
    stream.deallocate()
  }

  /// Upper bound on the contents of the file in bytes: one deflated byte stands for at most 1032.
  var maximumByteCount: Int {
    if stream == nil { return file.byteCount }
    let (bound, overflow) = file.byteCount.multipliedReportingOverflow(by: 1032)
    return overflow ? .max : bound
  }

  /// Returns the next `count` bytes.
  mutating func read(_ count: Int) throws -> [UInt8] {
    guard let stream else {
      let left = file.byteCount - offset
      guard count <= left else {
        throw Failure(.damagedFile, about: file.path, "truncated, \(count) more bytes expected and \(left) there")
      }
      offset += count
      return try file.read(count, at: offset - count)
    }
    return try [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      while filled < count && !isAtEnd { filled += try inflate(stream, into: buffer[filled...]) }
      guard filled == count else {
        throw Failure(.damagedFile, about: file.path, "truncated, \(count) more bytes expected and \(filled) there")
      }
    }
  }

  /// Checks that everything has been read, including the checksum.
  mutating func finish() throws {
    guard let stream else {
      guard offset == file.byteCount else {
        throw Failure(.damagedFile, about: file.path, "\(file.byteCount - offset) bytes too many at its end")
      }
      return
    }
    var next: [UInt8] = [0]
    while !isAtEnd {
      let surplus = try next.withUnsafeMutableBufferPointer { try inflate(stream, into: $0[...]) }
      guard surplus == 0 else {
        throw Failure(.damagedFile, about: file.path, "more data than its header announces")
      }
    }
    let trailing = input.count + file.byteCount - offset
    guard trailing == 0 else {
      throw Failure(.damagedFile, about: file.path, "\(trailing) bytes follow the gzip data")
    }
  }

  /// Inflates one step.
  /// - Returns: the number of bytes written to the destination.
  private mutating func inflate(
    _ stream: UnsafeMutablePointer<z_stream>, into destination: Slice<UnsafeMutableBufferPointer<UInt8>>
  ) throws -> Int {
    if input.isEmpty && offset < file.byteCount {
      let count = min(1 << 20, file.byteCount - offset)
      input = try file.read(count, at: offset)[...]
      offset += count
    }
    let room = UInt32(min(destination.count, 1 << 30))
    let status = input.withUnsafeBufferPointer { source in
      stream.pointee.next_in = UnsafeMutablePointer(mutating: source.baseAddress)
      stream.pointee.avail_in = UInt32(source.count)
      stream.pointee.next_out = UnsafeMutableBufferPointer(rebasing: destination).baseAddress
      stream.pointee.avail_out = room
      return CZlib.inflate(stream, Z_NO_FLUSH)
    }
    let consumed = input.count - Int(stream.pointee.avail_in)
    let written = Int(room - stream.pointee.avail_out)
    input = input.dropFirst(consumed)
    switch status {
    case Z_OK where consumed + written > 0: break
    case Z_STREAM_END: isAtEnd = true
    case Z_OK, Z_BUF_ERROR: throw Failure(.damagedFile, about: file.path, "truncated, the gzip data end early")
    case Z_MEM_ERROR: throw Failure(.outOfMemory, about: file.path, "not enough memory to inflate it")
    default:
      let reason = stream.pointee.msg.map { String(cString: $0) } ?? "zlib error \(status)"
      throw Failure(.damagedFile, about: file.path, "corrupt gzip data, \(reason)")
    }
    return written
  }
}
