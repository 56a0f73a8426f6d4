import Compute
import Glibc

/// Writes a file so that a reader sees either the old contents or the new, whatever interrupts the writer.
///
/// The bytes go to a temporary file in the same folder, which is synchronised with the disk and then renamed over the
/// destination. A failure, a full disk for example, removes the temporary file and leaves the destination as it was.
public enum AtomicFile {
  /// Writes what `body` hands to the output, in order.
  /// - Parameter path: the file to make or replace; its folder must exist. A symbolic link stays and its target is replaced.
  /// - Throws: a ``Failure`` that names the file and the system's reason; and whatever `body` throws.
  public static func write(to path: String, _ body: (Output) throws -> Void) throws {
    let destination = try resolved(path)
    let temporary = folder(of: destination) + "/.tmp-" + String(UInt64.random(in: 0...UInt64.max), radix: 16)
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw failure(path, in: folder(of: destination)) }
    var isOpen = true
    do {
      try body(Output(descriptor: descriptor, path: path))
      guard fsync(descriptor) == 0 else { throw failure(path) }
      isOpen = false
      guard close(descriptor) == 0 else { throw failure(path) }
      guard rename(temporary, destination) == 0 else { throw failure(path) }
    } catch {
      if isOpen { close(descriptor) }
      unlink(temporary)
      throw error
    }
    synchronise(folder: folder(of: destination))
  }

  /// Makes `bytes` the contents of the file.
  public static func write(_ bytes: [UInt8], to path: String) throws {
    try write(to: path) { output in try bytes.withUnsafeBytes(output.write) }
  }

  /// Makes `text`, in UTF-8, the contents of the file.
  public static func write(_ text: String, to path: String) throws { try write(Array(text.utf8), to: path) }

  /// Finds out before the work whether its result could be written; a disk may fill up later all the same.
  /// - Throws: what ``write(to:_:)`` would throw.
  public static func requireWritable(_ path: String) throws {
    let folder = folder(of: try resolved(path))
    let place = folder.isEmpty ? "/" : folder
    guard InputFile.isFolder(place), access(place, W_OK | X_OK) == 0 else { throw failure(path, in: folder) }
  }

  /// Where the bytes of a file under way go.
  public struct Output {
    let descriptor: Int32
    let path: String

    /// Adds bytes.
    /// - Throws: a ``Failure`` that names the file, for example where the disk is full.
    public func write(_ bytes: UnsafeRawBufferPointer) throws {
      var rest = bytes[...]
      while !rest.isEmpty {
        let written = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
        if written < 0 && errno == EINTR { continue }
        guard written >= 0 else { throw failure(path) }
        rest = rest.dropFirst(written)
      }
    }
  }

  private static func failure(_ path: String, in folder: String) -> Failure {
    let reason = failure(path)
    if folder.isEmpty || InputFile.isFolder(folder) { return reason }
    let exists = InputFile.exists(folder)
    return Failure("cannot write \(path): " + (exists ? "\(folder) is not a folder" : "there is no folder \(folder)"))
  }

  private static func failure(_ path: String) -> Failure { Failure("cannot write \(path): \(systemMessage())") }

  /// The file that `path` leads to, through symbolic links. Devices and folders are refused: a rename would replace them.
  private static func resolved(_ path: String) throws -> String {
    guard !path.isEmpty else { throw Failure("cannot write a file without a name") }
    var status = stat()
    guard stat(path, &status) == 0 else { return path }
    guard status.st_mode & S_IFMT == S_IFREG else { throw Failure("cannot write \(path): it is not a regular file") }
    guard let real = realpath(path, nil) else { throw failure(path) }
    defer { free(real) }
    return String(cString: real)
  }

  private static func folder(of path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return String(path[..<slash])
  }

  /// Makes the rename itself last through a power failure; file systems that cannot do so are left as they are.
  private static func synchronise(folder: String) {
    let descriptor = open(folder.isEmpty ? "/" : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    fsync(descriptor)
    close(descriptor)
  }
}

/// The text of the last system call's error, for example "No space left on device".
func systemMessage(_ code: Int32 = errno) -> String { String(cString: strerror(code)) }
