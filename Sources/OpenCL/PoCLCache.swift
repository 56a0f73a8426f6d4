import Glibc

/// The folder in which PoCL caches compiled kernels. PoCL offers no device if it cannot create this folder.
public enum PoCLCache {
  /// Name of the environment variable that sets the folder.
  public static let variable = "POCL_CACHE_DIR"

  /// Replacement for a cache folder that is not usable.
  public struct Replacement: Sendable {
    /// Folder that PoCL would have used.
    public let usual: String
    /// Folder that PoCL uses instead; nil if none was found.
    public let own: String?
  }

  /// Points PoCL to a cache folder that only this user can write to; nil if PoCL's usual folder is usable. This happens once,
  /// before any driver is loaded, because PoCL reads the variable at that time.
  public static let replacement: Replacement? = {
    let usual = usualFolder { name in getenv(name).map { String(cString: $0) } }
    if isUsable(usual) { return nil }
    let places = [getenv("TMPDIR").map { String(cString: $0) }, "/tmp", "/var/tmp", "/dev/shm"]
    let own = places.lazy.compactMap { $0.flatMap { $0.isEmpty ? nil : privateFolder(in: $0) } }.first
    if let own { setenv(variable, own, 1) }
    return Replacement(usual: usual, own: own)
  }()

  /// Folder that PoCL uses.
  package static var folder: String {
    _ = replacement
    return usualFolder { name in getenv(name).map { String(cString: $0) } }
  }

  /// Returns the folder that PoCL 1.0 and later use by default.
  /// - Parameter environment: returns the value of an environment variable; nil if it is not set.
  package static func usualFolder(_ environment: (String) -> String?) -> String {
    if let folder = environment(variable) { return folder }
    if let folder = environment("XDG_CACHE_HOME"), !folder.isEmpty { return "\(folder)/pocl/kcache" }
    if let home = environment("HOME") { return "\(home == "/" ? "" : home)/.cache/pocl/kcache" }
    return "/tmp/pocl/kcache"
  }

  /// Whether a folder exists or can be created, can be written to, and allows programs to be loaded from it.
  package static func isUsable(_ folder: String) -> Bool {
    var path = folder
    while access(path, F_OK) != 0 {
      guard errno == ENOENT, !path.isEmpty, path != "/" else { return false }
      path = parent(of: path)
    }
    var (status, volume) = (stat(), statvfs())
    guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR, access(path, W_OK | X_OK) == 0 else { return false }
    return statvfs(path, &volume) == 0 && volume.f_flag & noExecution == 0
  }

  /// Value of ST_NOEXEC, which Glibc's headers define for GNU programs only.
  private static let noExecution: UInt = 8

  private static func parent(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// Returns a folder that only this user can access, the same one every time. Programs are loaded from it, so nobody else may
  /// write to it.
  package static func privateFolder(in place: String) -> String? {
    let path = "\(place)/resnet-pocl-\(geteuid())"
    if mkdir(path, 0o700) != 0 && errno != EEXIST { return nil }
    var status = stat()
    let isOwn =
      lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR && status.st_uid == geteuid()
      && status.st_mode & 0o077 == 0
    if isOwn { return isUsable(path) ? path : nil }
    // Another user has taken the name, or others can access the folder.
    var template = Array("\(place)/resnet-pocl-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { return nil }
    let other = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return isUsable(other) ? other : nil
  }
}
