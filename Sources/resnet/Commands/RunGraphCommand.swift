import ArgumentParser
import Compute
import Formats
import ONNX
import ResNetKit

/// Runs any graph of supported operators on named tensors. It serves for trying operators (`Scripts/onnx-operator-tests`), so it
/// is not listed.
struct RunGraphCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run-graph", abstract: "Run an ONNX graph on named tensors.", shouldDisplay: false)

  @OptionGroup var device: DeviceOption

  @Argument(help: ArgumentHelp("ONNX file.", valueName: "file"))
  var model: String

  @Option(help: ArgumentHelp("Safetensors file with the graph's inputs by name.", valueName: "file"))
  var tensors: String

  @Option(help: ArgumentHelp("Safetensors file to write the outputs to, by name.", valueName: "file"))
  var output: String

  func validate() throws { try requirePaths(["<file>": model, "--tensors": tensors, "--output": output]) }

  func run() throws {
    try requireOther("--output", output, than: [model, tensors])
    let graph = try ONNXModel(contentsOf: model)
    let inputs = try Safetensors.read(tensors).tensors
    let outputs = try graph.run(inputs, on: try device.place().open())
    try Safetensors.write(outputs.map { ($0.name, $0.tensor) }, metadata: [:], to: output)
  }
}
