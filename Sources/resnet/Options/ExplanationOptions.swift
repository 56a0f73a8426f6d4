import ArgumentParser
import Images
import ResNetKit
import Support

/// Options of `predict` for pictures that show what speaks for a class.
struct ExplanationOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      Folder for a picture of each image that shows which parts speak for its class (Grad-CAM), with a table index.csv. \
      Existing files are never overwritten.
      """, valueName: "folder"), completion: .directory)
  var explain: String?

  @Option(
    help: ArgumentHelp("With --explain: class to explain. Default: the most probable one of each image.", valueName: "class"))
  var explainClass: String?

  func validate() throws {
    try requirePaths(["--explain": explain])
    if explainClass != nil, explain == nil { throw ValidationError("--explain-class is about explanations: it needs --explain") }
  }

  /// Makes the folder of the explanations, and finds the class; nil without `--explain`.
  /// - Parameters:
  ///   - arguments: files and folders as the user named them.
  ///   - classes: names of the classes.
  /// - Throws: ``Failure`` for an ONNX model, for an unknown class, and if the folder cannot be made; a usage error if it holds
  ///   some of the images.
  func prepare(
    _ checkpoint: Checkpoint, classes: [String], arguments: [String]
  ) throws -> (folder: ExplanationFolder, label: Int?)? {
    guard let explain else { return nil }
    try checkpoint.requireWeights()
    try requireOutside("--explain", explain, of: arguments)
    let label = try explainClass.map { try checkpoint.label(of: $0, among: classes) }
    return (try ExplanationFolder(explain, classes: classes), label)
  }
}
