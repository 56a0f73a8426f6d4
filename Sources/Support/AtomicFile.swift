import Glibc

/// Writes a file so that a reader sees either the old contents or the new contents, whatever interrupts the writer.
///
/// The bytes go to a temporary file in the same folder. That file is synchronized with the disk and then renamed over the
/// destination. A failure, such as a full disk, removes the temporary file and leaves the destination as it was.
public enum AtomicFile {
  /// Writes the bytes that `body` passes to the output, in order.
  /// - Parameter path: the file to create or replace; its folder must exist. A symbolic link stays, and its target is
  ///   replaced.
  /// - Throws: a ``Failure`` that names the file and the system's reason; also any error of `body`.
  /// - Returns: the result of `body`.
  @discardableResult
  public static func write<Result>(to path: String, _ body: (Output) throws -> Result) throws -> Result {
    let destination = try resolved(path)
    let temporary =
      Folder.parent(of: destination) + "/" + temporaryPrefix + String(UInt64.random(in: 0...UInt64.max), radix: 16)
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw failure(path, in: Folder.parent(of: destination)) }
    var isOpen = true
    let result: Result
    do {
      result = try body(Output(descriptor: descriptor, path: path))
      guard fsync(descriptor) == 0 else { throw failure(path) }
      isOpen = false
      guard close(descriptor) == 0 else { throw failure(path) }
      guard rename(temporary, destination) == 0 else { throw failure(path) }
    } catch {
      if isOpen { close(descriptor) }
      unlink(temporary)
      throw error
    }
    try synchronize(folder: Folder.parent(of: destination), for: path)
    return result
  }

  /// Beginning of the names of temporary files; hexadecimal digits follow.
  private static let temporaryPrefix = ".tmp-"

  /// Removes the temporary files in a folder, which stay if a process is killed while it writes.
  /// - Precondition: no other process writes files in the folder.
  package static func removeLeftovers(in folder: String) {
    for name in (try? Folder.entries(folder)) ?? [] where name.hasPrefix(temporaryPrefix) {
      let digits = name.utf8.dropFirst(temporaryPrefix.utf8.count)
      if !digits.isEmpty && digits.allSatisfy({ Array("0123456789abcdef".utf8).contains($0) }) { unlink("\(folder)/\(name)") }
    }
  }

  /// Replaces the contents of the file with `bytes`.
  public static func write(_ bytes: [UInt8], to path: String) throws {
    try write(to: path) { output in try bytes.withUnsafeBytes(output.write) }
  }

  /// Replaces the contents of the file with `text` in UTF-8.
  public static func write(_ text: String, to path: String) throws { try write(Array(text.utf8), to: path) }

  /// Checks, before a long piece of work, that its result can be written. The disk may still fill up later.
  /// - Throws: the errors that ``write(to:_:)`` would throw.
  public static func requireWritable(_ path: String) throws {
    let folder = Folder.parent(of: try resolved(path))
    guard InputFile.isFolder(folder), access(folder, W_OK | X_OK) == 0 else { throw failure(path, in: folder) }
  }

  /// Output stream of a file that is being written.
  public struct Output: Sendable {
    let descriptor: Int32
    let path: String

    /// Appends bytes.
    /// - Throws: a ``Failure`` that names the file, for example if the disk is full.
    public func write(_ bytes: UnsafeRawBufferPointer) throws {
      var rest = bytes[...]
      while !rest.isEmpty {
        let written = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
        if written < 0 && errno == EINTR { continue }
        guard written >= 0 else { throw failure(path) }
        rest = rest.dropFirst(written)
      }
    }

    /// Replaces bytes that were written before.
    /// - Throws: a ``Failure`` that names the file.
    package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws {
      var done = 0
      while done < bytes.count {
        let written = pwrite(descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done, offset + done)
        if written < 0 && errno == EINTR { continue }
        guard written >= 0 else { throw failure(path) }
        done += written
      }
    }
  }

  private static func failure(_ path: String, in folder: String) -> Failure {
    let reason = failure(path)
    if InputFile.isFolder(folder) { return reason }
    return InputFile.exists(folder)
      ? Failure(.inputOutput, "cannot write \(path): \(folder) is not a folder")
      : Failure(.notFound, "cannot write \(path): there is no folder \(folder)")
  }

  private static func failure(_ path: String) -> Failure { systemFailure("cannot write \(path)") }

  /// Follows the symbolic links of `path`. Devices and folders are refused, as a rename would replace them.
  private static func resolved(_ path: String) throws -> String {
    guard !path.isEmpty else { throw Failure(.invalidSetting, "cannot write a file without a name") }
    var status = stat()
    guard stat(path, &status) == 0 else { return path }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw Failure(.inputOutput, "cannot write \(path): it is not a regular file")
    }
    guard let real = realpath(path, nil) else { throw failure(path) }
    defer { free(real) }
    return String(cString: real)
  }

  /// Synchronizes the folder with the disk, so that the rename survives a power failure.
  /// - Throws: a ``Failure`` for the file if the disk fails. It is no failure if the file system cannot synchronize folders
  ///   (EINVAL, ENOTSUP), or if the folder may be written and not be read (EACCES).
  private static func synchronize(folder: String, for path: String) throws {
    let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else {
      if errno == EACCES { return }
      throw failure(path)
    }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 || errno == EINVAL || errno == ENOTSUP else { throw failure(path) }
  }
}

/// Returns the text of the last system call's error, for example "No space left on device".
func systemMessage(_ code: Int32 = errno) -> String { String(cString: strerror(code)) }

/// Returns the failure of the last system call.
/// - Parameter text: tells what the system refuses; its reason follows.
func systemFailure(_ text: String, _ code: Int32 = errno) -> Failure {
  Failure(code == ENOENT ? .notFound : .inputOutput, "\(text): \(systemMessage(code))")
}
