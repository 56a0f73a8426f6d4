import ArgumentParser
import Compute
import Formats
import Models
import ONNX
import Support
import Training

/// Options that name the network of a file's weights, if the file does not name it.
struct WeightsOptions: ParsableArguments {
  @Option(help: "Network, if neither the file nor its tensors identify it.")
  var model: String?

  @OptionGroup var options: ModelOptions

  @OptionGroup var place: WeightsPlaceOptions

  func validate() throws {
    if options.zeroInit {
      throw ValidationError("--zero-init says how training starts, and these weights are there already: leave it out")
    }
    if let model { try options.validate(model) }
    if model == nil, let option = options.given.first {
      throw ValidationError("\(option) needs --model: without it the checkpoint says how its network is built")
    }
  }

  /// Reads the weights and builds their network, as `--model` names it, or else as the file's description or the tensors tell.
  /// The numbers of classes and channels come from the tensors if `--model` is given or there is no description.
  /// - Throws: ``Failure`` if the file is damaged; a usage error if `--model` is needed.
  func read(_ path: String) throws -> (weights: Weights, model: ResNet) {
    let weights = try place.weights(path)
    return (weights, try about(path) { try ResNet(try configuration(weights, path)) })
  }

  private func configuration(_ weights: Weights, _ path: String) throws -> ModelConfiguration {
    if let model {
      if let described = weights.description?.model.name, described != model {
        throw usageError(
          "\(path) says itself that its network is \(described), not \(model): leave \(Setting.model) out")
      }
      guard let stem = weights.tensors["conv1.weight"], stem.shape.rank == 4, let head = weights.tensors["fc.weight"],
        head.shape.rank == 2
      else {
        throw Failure(
          .notFound,
          "there is no conv1.weight [K, C, R, S] and fc.weight [classes, C]: these are not a residual network's weights")
      }
      return options.configuration(model, classes: head.shape[0], channels: stem.shape[1])
    }
    return try Self.network(of: weights, path)
  }

  /// Returns the network of a file's weights, from the file's description or else from the tensors.
  /// - Parameter ignoringHead: whether the last layer may differ or be missing.
  static func network(of weights: Weights, _ path: String, ignoringHead: Bool = false) throws -> ModelConfiguration {
    if let described = weights.description?.model { return described }
    let shapes = weights.tensors.mapValues(\.shape)
    let candidates = ModelConfiguration.candidates(for: shapes, ignoringHead: ignoringHead)
    if candidates.count == 1 { return candidates[0] }
    if candidates.isEmpty, let nearest = ModelConfiguration.nearest(to: shapes) {
      do { try ResNet(nearest).store.check(weights.tensors) } catch let failure as Failure {
        throw Failure(
          failure.kind,
          "the nearest network is \(nearest.name): \(failure); if they are another's, add \(Setting.model)")
      }
    }
    let names = candidates.map(\.name).joined(separator: " or ")
    throw usageError(
      names.isEmpty
        ? "\(path) does not hold the tensors of a network that is known here: if it is one of them after all, "
          + "add \(Setting.model)"
        : "\(path) does not say which network it is for, and its tensors fit \(names): add \(Setting.model)")
  }
}

/// Options that name the place of the weights in a file.
struct WeightsPlaceOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Dictionary of the file that holds the weights, for example state_dict_ema. Default: the only one with weights.",
      valueName: "name"))
  var key: String?

  @Option(
    help: ArgumentHelp(
      "Prefix of the names of the network's tensors, for example 'model'. Default: any prefix.", valueName: "name"))
  var prefix: String?

  /// Names of the options that were given.
  var given: [String] { [("--key", key != nil), ("--prefix", prefix != nil)].filter(\.1).map(\.0) }

  private var place: WeightsPlace {
    WeightsPlace(key: key, prefix: prefix.map { $0.isEmpty || $0.hasSuffix(".") ? $0 : "\($0)." })
  }

  /// Reads a file of weights, and reports which weights were taken if it holds anything else.
  /// - Throws: ``Failure`` if the file is not a file of weights; a usage error if an option is needed.
  func weights(_ path: String) throws -> Weights {
    if InputFile.isFolder(path) {
      let usual = ["best.safetensors", "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"]
      let found = usual.map { "\(path)/\($0)" }.first(where: InputFile.exists)
      throw Failure(
        .notFound, "\(path) is a folder",
        remedy: "name a file with weights\(found.map { ", for example \($0)" } ?? "")")
    }
    try refuseONNX(path)
    do {
      let weights = try Weights(contentsOf: path, at: place)
      report(weights.origin, path)
      return weights
    } catch let ambiguity as WeightsAmbiguity {
      let options = ambiguity.places.map(Self.options).joined(separator: ", or ")
      throw usageError("\(ambiguity): say which are meant by \(options)")
    }
  }

  /// Returns the options that name a place.
  private static func options(for place: WeightsPlace) -> String {
    "--key '\(printable(place.key ?? ""))' --prefix '\(printable(place.prefix ?? ""))'"
  }

  private func report(_ origin: Weights.Origin, _ path: String) {
    if !origin.others.isEmpty && given.isEmpty {
      printError(
        "\(path): the weights \(origin.place) are taken; others are \(origin.others.map(\.description).joined(separator: "; ")): "
          + "\(Self.options(for: origin.others[0])) would take \(origin.others.count == 1 ? "these" : "the first of these")")
    }
    if let head = origin.head { printError("\(path): the last layer is taken from '\(printable(head))'") }
    if !origin.leftOut.isEmpty {
      let names = origin.leftOut.prefix(3).map { "'\(printable($0))'" }.joined(separator: ", ")
      let more = origin.leftOut.count > 3 ? " and \(grouped(origin.leftOut.count - 3)) more" : ""
      printError("\(path): the weights \(origin.place) are taken; left out beside them: \(names)\(more)")
    }
  }
}

/// Refuses ONNX models where weights are needed.
/// - Throws: ``Failure`` if the file is an ONNX model.
func refuseONNX(_ path: String) throws {
  if try ONNXModel.isModel(path) {
    throw Failure(
      .unsupported,
      "\(path) is an ONNX model: `resnet predict` and `resnet evaluate` run it as it is, its weights are not taken out")
  }
}

/// Runs `body` and names the file in its failure.
func about<Result>(_ path: String, _ body: () throws -> Result) throws -> Result {
  do { return try body() } catch let failure as Failure { throw failure.about(path) }
}
