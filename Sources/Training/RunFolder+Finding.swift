import Support

/// Finding of runs by the folder that they are in, and of the weights of a run.
extension RunFolder {
  /// Folder in which a run is made that names none.
  public static let home = "runs"

  /// Finds the runs in a folder, sorted by their names: its folders that contain a `config.json`.
  /// - Throws: ``Failure`` if the folder cannot be read. A missing folder contains no runs.
  public static func all(in folder: String = home) throws -> [RunFolder] {
    try Folder.entries(folder).map(Name.init).sorted().map { RunFolder(existing: "\(folder)/\($0.text)") }
      .filter { InputFile.exists($0.configurationPath) }
  }

  /// Finds the run in a folder whose weights were written last; nil if no run has weights.
  /// - Throws: ``Failure`` if the folder cannot be read.
  public static func newest(in folder: String = home) throws -> RunFolder? {
    let runs = try all(in: folder).compactMap { run in run.weightsPath.flatMap(InputFile.stamp).map { (run, $0.time) } }
    return runs.max { $0.1 < $1.1 }?.0
  }

  /// Returns the file of weights that a path names: for the folder of a run its best weights, or else its last ones. Any other
  /// path is returned as it is.
  public static func weights(at path: String) -> String {
    guard InputFile.isFolder(path) else { return path }
    return RunFolder(existing: path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path).weightsPath ?? path
  }

  /// Finds the run whose weights a file holds; nil if the file is not in the folder of a run, or is not one of its files.
  public init?(ofWeights path: String) {
    self.init(existing: Folder.parent(of: path))
    guard InputFile.exists(configurationPath), [bestPath, lastPath].contains(where: { InputFile.areSame($0, path) }) else {
      return nil
    }
  }

  /// The best weights, or else the last ones; nil if there are none yet.
  private var weightsPath: String? { [bestPath, lastPath].first(where: InputFile.exists) }
}
