import ArgumentParser
import NN
import Training

extension Optimizer.RateScale: ExpressibleByArgument {
  /// Parses a layer and its factor, for example `fc=10`.
  public init?(argument: String) {
    let parts = argument.split(separator: "=", omittingEmptySubsequences: false)
    guard parts.count == 2, !parts[0].isEmpty, let factor = Double(parts[1]) else { return nil }
    self.init(prefix: String(parts[0]), factor: factor)
  }
}

/// Options of a run that starts from trained weights.
struct FineTuningOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Start from the weights of a safetensors file or a checkpoint of torch.save. The last layer starts anew for other classes.",
      valueName: "file"),
    completion: .weights)
  var `init`: String?
  @OptionGroup var place: WeightsPlaceOptions
  @Option(
    help: ArgumentHelp("Do not train this layer or part, for example layer1. May be repeated.", valueName: "layer"),
    completion: .layers)
  var freeze: [String] = []
  @Option(
    help: ArgumentHelp(
      "Multiply the learning rate of a layer or part, for example layer1=0.1; the longest matching name counts. May be repeated.",
      valueName: "layer=factor"))
  var learningRateScale: [Optimizer.RateScale] = []

  func validate() throws {
    try requirePaths(["--init": `init`])
    if `init` == nil, let option = place.given.first {
      throw ValidationError("\(option) says where in a file the weights to start from are: it needs --init")
    }
  }

  /// Sets what the options say of a run.
  func apply(to run: inout RunConfiguration) {
    run.learningRateScales = learningRateScale
    run.frozen = freeze
  }
}
