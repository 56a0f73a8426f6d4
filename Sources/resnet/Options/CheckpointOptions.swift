import ArgumentParser
import ResNetKit
import Training

/// Option `--checkpoint` and its companions, for the commands that run a network.
struct CheckpointOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("Weights (a safetensors file or a checkpoint of torch.save), or an ONNX model.", valueName: "file"),
    completion: .weights)
  var checkpoint: String

  @OptionGroup var options: WeightsOptions

  func validate() throws { try requirePaths(["--checkpoint": checkpoint]) }

  /// Reads the checkpoint, and prints what the user should know of how it was read.
  func read() throws -> Checkpoint {
    let checkpoint = try Checkpoint(checkpoint, at: options.place.place, model: options.network)
    for notice in checkpoint.notices { printError(notice.line) }
    return checkpoint
  }
}
