import ArgumentParser
import Compute
import Formats
import Models
import ONNX
import Training

/// The options that say which network a file's weights are for, where it does not say so itself.
struct WeightsOptions: ParsableArguments {
  @Option(help: "The network, where neither the file says it nor its tensors tell.")
  var model: String?

  @OptionGroup var options: ModelOptions

  func validate() throws {
    if options.zeroInit {
      throw ValidationError("--zero-init says how training starts, and these weights are there already: leave it out")
    }
    if let model { try options.validate(model) }
    if model == nil, let option = options.given.first {
      throw ValidationError("\(option) needs --model: without it the checkpoint says how its network is built")
    }
  }

  /// Reads the weights and builds their network, as `--model` has it, or the file's own description, or else the tensors.
  /// Classes and channels are read off the tensors where `--model` is given or there is no description.
  /// - Throws: ``Failure`` for a file that is damaged; a usage error where `--model` is needed.
  func read(_ path: String) throws -> (weights: Weights, model: ResNet) {
    let weights = try Self.weights(path)
    return (weights, try about(path) { try ResNet(try configuration(weights, path)) })
  }

  /// - Throws: ``Failure`` for what is no file of weights.
  static func weights(_ path: String) throws -> Weights {
    if InputFile.isFolder(path) {
      let best = RunFolder(existing: path).bestPath
      throw Failure(
        "\(path) is a folder: name a file with weights" + (InputFile.exists(best) ? ", for example \(best)" : ""))
    }
    try refuseONNX(path)
    return try Weights(contentsOf: path)
  }

  private func configuration(_ weights: Weights, _ path: String) throws -> ModelConfiguration {
    if let model {
      if let described = weights.description?.model.name, described != model {
        throw usageError("\(path) says itself that its network is \(described), not \(model): leave --model out")
      }
      guard let stem = weights.tensors["conv1.weight"], stem.shape.rank == 4, let head = weights.tensors["fc.weight"],
        head.shape.rank == 2
      else {
        throw Failure(
          "there is no conv1.weight [K, C, R, S] and fc.weight [classes, C]: these are not a residual network's weights")
      }
      return options.configuration(model, classes: head.shape[0], channels: stem.shape[1])
    }
    return try Self.network(of: weights, path)
  }

  /// The network that a file's weights are for, as it says itself or else as the tensors tell.
  /// - Parameter ignoringHead: whether the last layer may be another, or missing.
  static func network(of weights: Weights, _ path: String, ignoringHead: Bool = false) throws -> ModelConfiguration {
    if let described = weights.description?.model { return described }
    let shapes = weights.tensors.mapValues(\.shape)
    let candidates = ModelConfiguration.candidates(for: shapes, ignoringHead: ignoringHead)
    if candidates.count == 1 { return candidates[0] }
    if candidates.isEmpty, let nearest = ModelConfiguration.nearest(to: shapes) {
      do { try ResNet(nearest).store.check(weights.tensors) } catch let failure as Failure {
        throw Failure("the nearest network is \(nearest.name): \(failure); if they are another's, add --model")
      }
    }
    let names = candidates.map(\.name).joined(separator: " or ")
    throw usageError(
      names.isEmpty
        ? "\(path) does not hold the tensors of a network that is known here: if it is one of them after all, add --model"
        : "\(path) does not say which network it is for, and its tensors fit \(names): add --model")
  }
}

/// - Throws: ``Failure`` for an ONNX model where weights are wanted.
func refuseONNX(_ path: String) throws {
  if try ONNXModel.isModel(path) {
    throw Failure(
      "\(path) is an ONNX model: `resnet predict` and `resnet evaluate` run it as it is, its weights are not taken out")
  }
}

/// Names the file in a failure that is about it.
func about<Result>(_ path: String, _ body: () throws -> Result) throws -> Result {
  do { return try body() } catch let failure as Failure { throw Failure("\(path): \(failure)") }
}
