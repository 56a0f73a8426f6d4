import Glibc
import Support

/// New folder for what a run's own folder refuses at the end of the run.
struct Refuge {
  let folder: RunFolder

  /// Makes a folder that only this user can read.
  /// - Parameter place: folder in which it is made.
  /// - Throws: ``Failure`` if it cannot be made.
  private init(in place: String) throws {
    var template = Array("\(place)/resnet-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Failure(.inputOutput, "cannot make a folder in \(place)") }
    folder = RunFolder(existing: String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self))
  }

  /// Saves a state, and files that belong to it, in a new folder, under the names that they have in a run's folder.
  /// - Returns: the path of the folder; nil if the place refuses the files, too. Nothing is left there then.
  static func save(_ snapshot: StateSnapshot, _ files: [RunFile], in place: String) -> String? {
    guard let refuge = try? Refuge(in: place) else { return nil }
    do {
      for file in files {
        try RunFile(path: "\(refuge.folder.path)/\(file.path.split(separator: "/").last ?? "")", contents: file.contents).write()
      }
      try snapshot.write(to: refuge.folder.path(ofStep: snapshot.position.step))
      return refuge.folder.path
    } catch {
      refuge.remove()
      return nil
    }
  }

  private func remove() {
    for name in (try? Folder.entries(folder.path)) ?? [] { unlink("\(folder.path)/\(name)") }
    rmdir(folder.path)
  }
}
