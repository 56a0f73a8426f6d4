import Compute
import Glibc
import OpenCL
import Support

/// Disk cache for one device, driver and set of kernels: the tuner's choices, compiled programs, and what was checked.
///
///     FOLDER/1f…9a/tuning            a ``TuningTable``
///     FOLDER/1f…9a/kernels           checksums of the kernels that the driver has built before
///     FOLDER/1f…9a/checked           checksums of the plans of convolutions that the device has computed correctly
///     FOLDER/1f…9a/03…7c.program     a binary of the driver
///     FOLDER/1f…9a/starting-1234     a ``StartMarker``
///
/// The name of the inner folder is the checksum of the ``identity``. Each file begins with a line that holds the format version
/// and a checksum of the rest. The identity follows. If any of this is wrong, the file is not used, and the next write replaces
/// it. Files are replaced atomically, so that processes may share the folder. A file that cannot be read or written causes a
/// warning.
public final class DeviceCache {
  /// Identity as one line of JSON: device, driver, platform, kernels.
  public let identity: String
  public let path: String
  private let warn: (String) -> Void
  private var isWritable = true

  /// - Parameters:
  ///   - folder: cache folder for all devices, for example ``userFolder(_:)``; the first write creates it if it is missing.
  ///   - warn: called with each problem, in one line.
  /// - Throws: an error if the device or a kernel's source cannot be read.
  public init(_ folder: String, device: Device, warn: @escaping (String) -> Void) throws {
    let sources = try KernelSources(device: device)
    identity =
      JSON.object([
        .init("device", .string(try device.name)), .init("driver", .string(try device.driverVersion)),
        .init("platform", .string("\(try device.platform.name), \(try device.platform.version)")),
        .init("kernels", .string(try sources.checksum())),
      ]).description
    path = "\(folder)/\(Checksum.of(identity.utf8))"
    self.warn = warn
  }

  /// Returns `$XDG_CACHE_HOME/resnet`, or `~/.cache/resnet`; nil if there is no home. A relative path in `$XDG_CACHE_HOME` counts
  /// as none (XDG Base Directory Specification).
  public static func userFolder(_ environment: [String: String]) -> String? {
    if let folder = environment["XDG_CACHE_HOME"], folder.hasPrefix("/") { return "\(folder)/resnet" }
    guard let home = environment["HOME"], home.hasPrefix("/") else { return nil }
    return "\(home)/.cache/resnet"
  }

  // MARK: Choices

  private var tablePath: String { "\(path)/tuning" }

  /// Returns the choices on disk; empty if there are none, or none that can be trusted.
  public func loadTable() -> TuningTable {
    guard let body = read(tablePath) else { return TuningTable() }
    do { return try TuningTable(JSON(parsing: String(decoding: body, as: UTF8.self))) } catch {
      warn("\(tablePath) is not used: \(error)")
      return TuningTable()
    }
  }

  /// Adds choices to those on disk.
  /// - Returns: the choices that are on disk afterwards, or would be if they could be written.
  @discardableResult
  public func save(_ table: TuningTable) -> TuningTable {
    guard makeFolder() else { return table }
    // Nobody else may write between reading and replacing. A second is enough for any other process to finish.
    var lock: Folder.Lock?
    for _ in 0..<100 where lock == nil {
      lock = (try? Folder.Lock(path)) ?? nil
      if lock == nil { usleep(10_000) }
    }
    return withExtendedLifetime(lock) {
      var merged = loadTable()
      merged.merge(table)
      write(Array(merged.json.description.utf8), to: tablePath)
      return merged
    }
  }

  /// Whether anything can be kept. If not, a warning tells the reason.
  package var canKeep: Bool { makeFolder() }

  // MARK: Kernels

  private var kernelsPath: String { "\(path)/kernels" }
  private var checkedPath: String { "\(path)/checked" }

  /// Returns the kernels that were passed to ``remember(_:)``, by ``key(of:)``.
  package func knownKernels() -> Set<String> { keys(kernelsPath) }

  /// Records that the driver has built these kernels, or all kernels of the work with such a name.
  package func remember(_ keys: [String]) { add(keys, to: kernelsPath) }

  /// Returns the keys that were passed to ``rememberChecked(_:)``.
  package func checkedPlans() -> Set<String> { keys(checkedPath) }

  /// Records that the device computes plans with these keys correctly, or all plans of the work with such a key.
  func rememberChecked(_ keys: [String]) { add(keys, to: checkedPath) }

  private func keys(_ file: String) -> Set<String> {
    Set(read(file).map { String(decoding: $0, as: UTF8.self).split(separator: "\n").map(String.init) } ?? [])
  }

  private func add(_ new: [String], to file: String) {
    guard makeFolder() else { return }
    write(Array(keys(file).union(new).sorted().joined(separator: "\n").utf8), to: file)
  }

  /// Returns the name of a kernel among ``knownKernels()``.
  package static func key(of kernel: KernelBuild) -> String { Checksum.of("\(kernel)".utf8) }

  // MARK: Programs

  func program(_ key: String) -> [UInt8]? { read("\(path)/\(key).program") }

  func save(_ binary: [UInt8], program key: String) {
    if makeFolder() { write(binary, to: "\(path)/\(key).program") }
  }

  // MARK: Files

  private func read(_ file: String) -> [UInt8]? {
    guard InputFile.exists(file) else { return nil }
    do { return try CacheFile.body(of: InputFile(file).read(), identity) } catch {
      warn("\(file) is not used: \(error)")
      return nil
    }
  }

  private func write(_ body: [UInt8], to file: String) {
    do { try AtomicFile.write(CacheFile.bytes(identity, body), to: file) } catch { giveUp(error) }
  }

  private func makeFolder() -> Bool {
    guard isWritable else { return false }
    do { try Folder.make(path) } catch { giveUp(error) }
    return isWritable
  }

  private func giveUp(_ error: any Error) {
    warn("nothing is kept for the next run: \(error)")
    isWritable = false
  }
}

/// Format of a cached file: the line `resnet cache 1 CHECKSUM`, a line with the identity, and the contents.
package enum CacheFile {
  private static let title = "resnet cache 1 "
  private static let newline = UInt8(ascii: "\n")

  package static func bytes(_ identity: String, _ body: [UInt8]) -> [UInt8] {
    let rest = Array("\(identity)\n".utf8) + body
    return Array("\(title)\(Checksum.of(rest))\n".utf8) + rest
  }

  /// Returns the identity and the contents.
  /// - Throws: a ``Failure`` if the bytes do not have the form of ``bytes(_:_:)``.
  static func parse(_ bytes: [UInt8]) throws -> (identity: String, body: [UInt8]) {
    let parts = bytes.split(separator: newline, maxSplits: 2, omittingEmptySubsequences: false)
    guard parts.count == 3, parts[0].elementsEqual("\(title)\(Checksum.of(bytes[parts[1].startIndex...]))".utf8) else {
      throw Failure(.damagedFile, "it is damaged, or of another version")
    }
    return (String(decoding: parts[1], as: UTF8.self), Array(parts[2]))
  }

  static func body(of bytes: [UInt8], _ identity: String) throws -> [UInt8] {
    let (found, body) = try parse(bytes)
    guard found == identity else { throw Failure(.mismatch, "it belongs to another device, driver or version: \(found)") }
    return body
  }
}

/// Cache folder of all devices.
public enum CacheFolder {
  public struct Contents {
    /// Path of the inner folder.
    public let path: String
    /// Identity as in ``DeviceCache/identity``; nil if no file of the folder can be trusted.
    public let identity: JSON?
    public let table: TuningTable
    public let programs: Int
    public let byteCount: Int
  }

  /// Returns the contents of the folder, sorted by path; empty if there is no folder.
  public static func list(_ folder: String) throws -> [Contents] {
    try Folder.entries(folder).filter(isOurs).sorted().map { name in
      let path = "\(folder)/\(name)"
      var (identity, table, programs, byteCount) = (JSON?.none, TuningTable(), 0, 0)
      for file in try Folder.entries(path) {
        guard let bytes = try? InputFile("\(path)/\(file)").read() else { continue }
        byteCount += bytes.count
        guard let parts = try? CacheFile.parse(bytes), let found = try? JSON(parsing: parts.identity) else { continue }
        identity = found
        if file == "tuning" { table = (try? TuningTable(JSON(parsing: String(decoding: parts.body, as: UTF8.self)))) ?? table }
        if file.hasSuffix(".program") { programs += 1 }
      }
      return Contents(path: path, identity: identity, table: table, programs: programs, byteCount: byteCount)
    }
  }

  /// Removes everything that a ``DeviceCache`` creates, and nothing else.
  /// - Throws: a ``Failure`` for a file or folder that cannot be removed.
  public static func clear(_ folder: String) throws {
    for name in try Folder.entries(folder) where isOurs(name) {
      for file in try Folder.entries("\(folder)/\(name)")
      where ["tuning", "kernels", "checked"].contains(file) || file.hasSuffix(".program") || file.hasPrefix(".tmp-")
        || file.hasPrefix(StartMarker.prefix)
      {
        try remove("\(folder)/\(name)/\(file)", unlink)
      }
      try remove("\(folder)/\(name)", rmdir)
    }
  }

  private static func isOurs(_ name: String) -> Bool { name.utf8.count == 16 && name.allSatisfy(\.isHexDigit) }

  private static func remove(_ path: String, _ call: (UnsafePointer<CChar>) -> Int32) throws {
    // Another process may have removed it first.
    if call(path) != 0 && errno != ENOENT {
      throw Failure(.inputOutput, "cannot remove \(path): \(String(cString: strerror(errno)))")
    }
  }
}
