import ArgumentParser
import Models
import ResNetKit
import Training

/// Options that name the network of a file's weights, if the file does not name it.
struct WeightsOptions: ParsableArguments {
  @Option(help: "Network, if neither the file nor its tensors identify it.", completion: .models)
  var model: String?

  @OptionGroup var options: BlockOptions

  @OptionGroup var place: WeightsPlaceOptions

  func validate() throws {
    if let model { try options.validate(model) }
    if model == nil, let option = options.given.first {
      throw ValidationError("\(option) needs --model: without it the checkpoint says how its network is built")
    }
  }

  /// The network that `--model` names, for numbers of classes and of channels; nil if it is not given.
  func network(classes: Int, channels: Int) -> ModelConfiguration? {
    model.map { options.configuration($0, classes: classes, channels: channels) }
  }

  /// Reads the checkpoint in a file, and prints what the user should know of how it was read.
  func checkpoint(_ path: String) throws -> Checkpoint {
    let checkpoint = try Checkpoint(path, at: place.place, model: network)
    for notice in checkpoint.notices { printError(notice.line) }
    return checkpoint
  }

  /// Reads the weights and builds their network, as `--model` names it, or else as the file's description or the tensors tell.
  /// The numbers of classes and channels come from the tensors if `--model` is given or there is no description.
  /// - Throws: ``Failure`` if the file is damaged, or if `--model` is needed.
  func read(_ path: String) throws -> (weights: Weights, model: ResNet) {
    let file = try NetworkWeights(path, at: place.place, model: network)
    for notice in file.notices { printError(notice.line) }
    return (file.weights, file.network)
  }
}

/// Options that name the place of the weights in a file.
struct WeightsPlaceOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Dictionary of the file that holds the weights, for example state_dict_ema. Default: the only one with weights.",
      valueName: "name", visibility: .hidden))
  var key: String?

  @Option(
    help: ArgumentHelp(
      "Prefix of the names of the network's tensors, for example 'model'. Default: any prefix.", valueName: "name",
      visibility: .hidden))
  var prefix: String?

  /// The place that the options name.
  var place: WeightsPlace {
    WeightsPlace(key: key, prefix: prefix.map { $0.isEmpty || $0.hasSuffix(".") ? $0 : "\($0)." })
  }
}
