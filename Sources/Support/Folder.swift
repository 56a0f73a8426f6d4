import Glibc

/// Operations on folders that files are written to.
public enum Folder {
  /// Creates the folder and any missing parent folders.
  /// - Throws: a ``Failure`` that names the folder that cannot be created and the system's reason.
  public static func make(_ path: String) throws {
    if path.isEmpty { throw Failure(.invalidSetting, "cannot make a folder without a name") }
    for end in ends(of: path) {
      let part = String(path[..<end])
      guard mkdir(part, 0o777) != 0, errno != EEXIST || end == path.endIndex else { continue }
      var status = stat()
      let code = errno
      if code == EEXIST && stat(part, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR { continue }
      if code == EEXIST { throw Failure(.inputOutput, "cannot make the folder \(part): a file has that name") }
      throw systemFailure("cannot make the folder \(part)", code)
    }
  }

  /// Returns the folders of a path that are not there, the outermost first.
  package static func missing(_ path: String) -> [String] {
    ends(of: path).map { String(path[..<$0]) }.filter { !InputFile.exists($0) }
  }

  /// Returns the places where the names of a path's folders end.
  private static func ends(of path: String) -> [String.Index] {
    path.utf8.indices.filter { path.utf8[$0] == UInt8(ascii: "/") && $0 > path.startIndex } + [path.endIndex]
  }

  /// Returns the folder that a path names a file of: `runs` for `runs/x`, `/` for `/x`, and `.` for `x`.
  package static func parent(of path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// Returns the names in the folder, in no particular order; an empty list if there is no such folder.
  /// - Throws: a ``Failure`` if the folder cannot be read.
  public static func entries(_ path: String) throws -> [String] {
    guard let stream = opendir(path) else {
      if errno == ENOENT { return [] }
      throw systemFailure("cannot read the folder \(path)")
    }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      names.append(
        withUnsafePointer(to: &entry.pointee.d_name) { pointer in
          pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        })
    }
    return names.filter { $0 != "." && $0 != ".." }
  }
}
