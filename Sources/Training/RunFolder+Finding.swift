import Support

/// Finding of runs by the folder that they are in.
extension RunFolder {
  /// Folder in which a run is made that names none.
  public static let home = "runs"

  /// Finds the runs in a folder, sorted by their names: its folders that contain a `config.json`.
  /// - Throws: ``Failure`` if the folder cannot be read. A missing folder contains no runs.
  public static func all(in folder: String = home) throws -> [RunFolder] {
    try Folder.entries(folder).map(Name.init).sorted().map { RunFolder(existing: "\(folder)/\($0.text)") }
      .filter { InputFile.exists($0.configurationPath) }
  }
}
