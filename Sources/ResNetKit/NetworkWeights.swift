import Checkpoints
import Compute
import Formats
import Models
import ONNX
import Support
import Training

/// Weights of a file with the network that they are for.
package struct NetworkWeights {
  package let weights: Weights
  /// The network, not allocated yet.
  package let network: ResNet
  /// Notices about the reading of the file.
  package let notices: [Message]

  /// Reads weights and builds their network: the one that is given, or that the file describes, or that its tensors tell.
  /// - Parameter model: the network for the numbers of classes and channels that the tensors tell; nil for the file's own.
  /// - Throws: ``Failure`` for a file that is damaged or holds no network, and where ``Setting/model`` is needed.
  package init(_ path: String, at place: WeightsPlace, model: (_ classes: Int, _ channels: Int) -> ModelConfiguration?) throws {
    let (weights, notices) = try Self.read(path, at: place)
    (self.weights, self.notices) = (weights, notices)
    let configuration = try Self.given(model, weights, path) ?? Self.configuration(of: weights, path)
    network = try about(path) { try ResNet(configuration) }
  }

  /// Reads weights, and tells what was taken where a file holds more.
  /// - Throws: ``Failure`` for a file without weights, or with several networks' weights.
  package static func read(_ path: String, at place: WeightsPlace) throws -> (Weights, notices: [Message]) {
    if InputFile.isFolder(path) {
      let usual = ["best.safetensors", "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"]
      let found = usual.map { "\(path)/\($0)" }.first(where: InputFile.exists)
      throw Failure(
        .notFound, "\(path) is a folder", remedy: "name a file with weights\(found.map { ", for example \($0)" } ?? "")")
    }
    try refuseONNX(path)
    do {
      let weights = try Weights(contentsOf: path, at: place)
      return (weights, notices(of: weights.origin, path, wasAsked: place != WeightsPlace()))
    } catch let ambiguity as WeightsAmbiguity {
      let settings = ambiguity.places.dropFirst().map(spelled).reduce(spelled(ambiguity.places[0])) { "\($0), or \($1)" }
      throw Failure(.conflictingSetting, "\(ambiguity)", remedy: "say which are meant by \(settings)")
    }
  }

  /// - Throws: ``Failure`` for an ONNX model where weights are wanted.
  package static func refuseONNX(_ path: String) throws {
    if try ONNXModel.isModel(path) {
      throw Failure(
        .unsupported,
        "\(path) is an ONNX model: `resnet predict` and `resnet evaluate` run it as it is, its weights are not taken out")
    }
  }

  /// The settings that name a place.
  private static func spelled(_ place: WeightsPlace) -> Message {
    "\(Setting.key, "'\(printable(place.key ?? ""))'") \(Setting.prefix, "'\(printable(place.prefix ?? ""))'")"
  }

  private static func notices(of origin: Weights.Origin, _ path: String, wasAsked: Bool) -> [Message] {
    var notices: [Message] = []
    if !origin.others.isEmpty && !wasAsked {
      notices.append(
        """
        \(path): the weights \(origin.place) are taken; others are \(origin.others.map(\.description).joined(separator: "; ")): \
        \(spelled(origin.others[0])) would take \(origin.others.count == 1 ? "these" : "the first of these")
        """)
    }
    if let head = origin.head { notices.append("\(path): the last layer is taken from '\(printable(head))'") }
    if !origin.leftOut.isEmpty {
      let names = origin.leftOut.prefix(3).map { "'\(printable($0))'" }.joined(separator: ", ")
      let more = origin.leftOut.count > 3 ? " and \(grouped(origin.leftOut.count - 3)) more" : ""
      notices.append("\(path): the weights \(origin.place) are taken; left out beside them: \(names)\(more)")
    }
    return notices
  }

  private static func given(
    _ model: (_ classes: Int, _ channels: Int) -> ModelConfiguration?, _ weights: Weights, _ path: String
  ) throws -> ModelConfiguration? {
    guard let wanted = model(1, 1) else { return nil }
    if let described = weights.description?.model.name, described != wanted.name {
      throw Failure(
        .conflictingSetting, "\(path) says itself that its network is \(described), not \(wanted.name)",
        remedy: "leave \(Setting.model) out")
    }
    guard let stem = weights.tensors["conv1.weight"], stem.shape.rank == 4, let head = weights.tensors["fc.weight"],
      head.shape.rank == 2
    else {
      throw Failure(
        .notFound, about: path,
        "there is no conv1.weight [K, C, R, S] and fc.weight [classes, C]: these are not a residual network's weights")
    }
    return model(head.shape[0], stem.shape[1])
  }

  /// The network that weights are for, as their file says or else as the tensors tell.
  /// - Parameter ignoringHead: whether the last layer may be another network's, or missing.
  /// - Throws: ``Failure`` where the tensors are no network's, or several networks'.
  package static func configuration(
    of weights: Weights, _ path: String, ignoringHead: Bool = false
  ) throws -> ModelConfiguration {
    if let described = weights.description?.model { return described }
    let shapes = weights.tensors.mapValues(\.shape)
    let candidates = ModelConfiguration.candidates(for: shapes, ignoringHead: ignoringHead)
    if candidates.count == 1 { return candidates[0] }
    if candidates.isEmpty, let nearest = ModelConfiguration.nearest(to: shapes) {
      do { try ResNet(nearest).store.check(weights.tensors) } catch let failure as Failure {
        throw Failure(
          failure.kind, about: path,
          "the nearest network is \(nearest.name): \(failure); if they are another's, add \(Setting.model)")
      }
    }
    let names = candidates.map(\.name).joined(separator: " or ")
    throw Failure(
      .conflictingSetting,
      names.isEmpty
        ? """
        \(path) does not hold the tensors of a network that is known here: if it is one of them after all, add \(Setting.model)
        """ : "\(path) does not say which network it is for, and its tensors fit \(names): add \(Setting.model)")
  }
}

/// Names a file in a failure that is about it.
package func about<Result>(_ path: String, _ body: () throws -> Result) throws -> Result {
  do { return try body() } catch let failure as Failure { throw failure.about(path) }
}
