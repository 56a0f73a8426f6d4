import ArgumentParser
import ResNetKit
import Support
import Training

/// Option `--checkpoint` and its companions, for the commands that run a network.
struct CheckpointOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      Weights (a safetensors file or a checkpoint of torch.save), an ONNX model, or the folder of a run, whose best weights \
      are taken. Default: the newest run under \(RunFolder.home)/.
      """, valueName: "file"),
    completion: .weights)
  var checkpoint: String?

  @OptionGroup var options: WeightsOptions

  func validate() throws { try requirePaths(["--checkpoint": checkpoint]) }

  /// Returns the file that the option names: for the folder of a run its best weights. Without the option it is that of the
  /// newest run, which standard error says.
  /// - Throws: ``Failure`` if the folder of the runs cannot be read; a usage error if there is no run.
  func path() throws -> String {
    try checkpoint.map(RunFolder.weights(at:))
      ?? Self.newest("--checkpoint names others", otherwise: "name weights with --checkpoint")
  }

  /// Returns the file of the newest run's best weights, and says so on standard error.
  /// - Parameters:
  ///   - hint: text that says how to name other weights.
  ///   - remedy: text that says what to do if there is no run.
  /// - Throws: as ``path()``.
  static func newest(_ hint: String, otherwise remedy: String) throws -> String {
    guard let run = try RunFolder.newest() else { throw usageError("there is no run under \(RunFolder.home)/: \(remedy)") }
    let path = RunFolder.weights(at: run.path)
    printErrorNote("\(path) is taken, of the newest run: \(hint)")
    return path
  }

  /// Reads the checkpoint in a file, and prints what the user should know of how it was read.
  func read(_ path: String) throws -> Checkpoint { try options.checkpoint(path) }
}
