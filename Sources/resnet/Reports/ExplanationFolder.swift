import Images
import Support
import Training

/// Folder of explanations: a picture for each image, and a table of them. No file is ever overwritten.
struct ExplanationFolder {
  private let folder: String
  private let classes: [String]
  private var path: String { "\(folder)/index.csv" }

  /// Makes the folder.
  /// - Throws: ``Failure`` if it cannot be made or has a table already.
  init(_ folder: String, classes: [String]) throws {
    (self.folder, self.classes) = (folder, classes)
    try Folder.make(folder)
    if InputFile.exists(path) {
      throw Failure(.inputOutput, about: folder, "it holds explanations already", remedy: "remove them, or name another folder")
    }
  }

  /// Calls `body`, and puts the table there when it has ended.
  /// - Throws: ``Failure`` if the table cannot be written; errors of `body`.
  func write<Result>(_ body: (Table) throws -> Result) throws -> Result {
    try AtomicFile.write(to: path) { output in
      let table = Table(folder: folder, classes: classes, output: output)
      try table.write(["path", "picture", "class", "probability", "predicted", "predicted_probability", "error"])
      return try body(table)
    }
  }

  /// Table of the explanations while it is written.
  struct Table {
    fileprivate let folder: String
    fileprivate let classes: [String]
    fileprivate let output: AtomicFile.Output
  }
}

extension ExplanationFolder.Table {
  /// Writes the picture of one image, called `IMAGE_CLASS_PROBABILITY.png`, and its row of the table.
  /// - Parameter explanation: nil for an image that cannot be decoded, which has no picture.
  /// - Throws: ``Failure`` if a file cannot be written.
  func add(_ image: ImagePlace, _ prediction: Prediction, _ explanation: Explanation?) throws {
    switch prediction.classes {
    case .failure(let failure): try write([image.path, "", "", "", "", "", failure.line])
    case .success(let found):
      guard let explanation, let best = found.first else { return }
      let picture = try save(explanation, of: image)
      try write([
        image.path, picture, classes[explanation.label], "\(explanation.probability)", classes[best.label],
        "\(best.probability)", "",
      ])
    }
  }

  /// - Returns: the name of the picture.
  private func save(_ explanation: Explanation, of image: ImagePlace) throws -> String {
    let ending = "_\(FileNames.valid(classes[explanation.label]))_\(fixed(explanation.probability, 2)).png"
    let name = FileNames.name(ofImage: image.path == "-" ? "image" : image.path)
    let stem = name.lastIndex(of: ".").map { $0 == name.startIndex ? name : String(name[..<$0]) } ?? name
    let bytes = try explanation.blended.png()
    var taken = ""
    try FileNames.withFreeName(FileNames.joined(stem, ending), in: folder) { path in
      taken = path
      return try NewFile.write(bytes, to: path)
    }
    return String(taken.dropFirst(folder.count + 1))
  }

  fileprivate func write(_ fields: [String]) throws { try Array(CSV.row(fields).utf8).withUnsafeBytes(output.write) }
}
