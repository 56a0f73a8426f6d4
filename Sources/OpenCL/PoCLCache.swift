import Glibc

/// The folder in which PoCL keeps what it compiles. Where it cannot make one, it offers no device.
public enum PoCLCache {
  /// The variable of the environment that names the folder.
  public static let variable = "POCL_CACHE_DIR"

  /// The replacement of a folder that is of no use.
  public struct Replacement: Sendable {
    /// The folder that PoCL would have taken.
    public let usual: String
    /// The one that it takes instead; nil where none was found.
    public let own: String?
  }

  /// Gives PoCL a folder that this user alone can write to, unless its usual folder will do: then it is nil. This happens once, before
  /// any driver is loaded: PoCL reads the variable then.
  public static let replacement: Replacement? = {
    let usual = usualFolder { name in getenv(name).map { String(cString: $0) } }
    if isUsable(usual) { return nil }
    let places = [getenv("TMPDIR").map { String(cString: $0) }, "/tmp", "/var/tmp", "/dev/shm"]
    let own = places.lazy.compactMap { $0.flatMap { $0.isEmpty ? nil : privateFolder(in: $0) } }.first
    if let own { setenv(variable, own, 1) }
    return Replacement(usual: usual, own: own)
  }()

  /// The folder that PoCL takes.
  package static var folder: String {
    _ = replacement
    return usualFolder { name in getenv(name).map { String(cString: $0) } }
  }

  /// The folder that PoCL takes by itself, from 1.0 on.
  /// - Parameter environment: the value of a variable; nil where it is not set.
  package static func usualFolder(_ environment: (String) -> String?) -> String {
    if let folder = environment(variable) { return folder }
    if let folder = environment("XDG_CACHE_HOME"), !folder.isEmpty { return "\(folder)/pocl/kcache" }
    if let home = environment("HOME") { return "\(home == "/" ? "" : home)/.cache/pocl/kcache" }
    return "/tmp/pocl/kcache"
  }

  /// Whether a folder is there, or can be made, that takes files and lets programs be loaded from them.
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

  /// ST_NOEXEC, which Glibc's headers keep for GNU's own programs.
  private static let noExecution: UInt = 8

  private static func parent(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// A folder for this user alone, the same every time: programs are loaded from it, so nobody else may put any there.
  package static func privateFolder(in place: String) -> String? {
    let path = "\(place)/resnet-pocl-\(geteuid())"
    if mkdir(path, 0o700) != 0 && errno != EEXIST { return nil }
    var status = stat()
    let isOwn =
      lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR && status.st_uid == geteuid()
      && status.st_mode & 0o077 == 0
    if isOwn { return isUsable(path) ? path : nil }
    // Somebody else has taken the name.
    var template = Array("\(place)/resnet-pocl-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { return nil }
    let other = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return isUsable(other) ? other : nil
  }
}
