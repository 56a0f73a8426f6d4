import Checkpoints
import Datasets
import Models
import Support

/// The weights that a run starts from.
extension Trainer {
  /// Loads the weights that a run starts from. The last layer is initialized anew if it tells other classes apart.
  /// - Parameters:
  ///   - path: file of the weights, for messages.
  ///   - images: training images.
  /// - Returns: notes for the user.
  static func load(
    _ weights: Weights, from path: String, into model: ResNet, for images: any ImageSource
  ) throws -> [String] {
    let classes = images.classes
    let known = weights.description?.classes ?? []
    let order = Array(classes.indices)
    let areOthers = images.namesClasses && known.count == classes.count && places(of: classes, in: known) != order
    do {
      if try model.load(pretrained: weights.tensors, takingHead: !areOthers) {
        guard images.namesClasses, known.isEmpty, let byNumber = orderByNumber(classes), byNumber != order else { return [] }
        return [
          "\(path) does not name its classes: they are taken for yours in the order of their names as text, \(listed(classes))"
        ]
      }
    } catch let failure as Failure { throw failure.about(path) }
    let weight = "\(ResNet.head).weight"
    let found =
      areOthers
      ? "is for others: \(listed(known, atMost: 3))"
      : weights.tensors[weight].map { "is for \($0.shape[0]) classes" } ?? "is missing or of another form"
    if model.store.entries.contains(where: { $0.isFrozen && $0.name.hasPrefix("\(ResNet.head).") }) {
      throw Failure(.frozen, ResNet.head, "it has to start anew and be trained, since in \(path) it \(found)")
    }
    return [
      "the last layer, \(ResNet.head), starts anew for \(model.configuration.classes) classes: in \(path) it \(found)"
    ]
  }
}
