import Checkpoints
import Compute
import Datasets
import Support

/// Model in an ONNX file as a classifier of images [N,H,W,C], whichever order of dimensions the graph takes.
///
/// The graph is planned for the first batch, and again only for a larger batch or other images. The weights on the device may
/// depend on the plan and are held only once. Smaller batches are filled up with zeros.
public final class ONNXClassifier: Classifier {
  public let name: String
  public let classes: [String]
  public let normalization: Normalization?
  public let channels: Int
  public let imageSize: (height: Int, width: Int)?
  public let givesProbabilities: Bool
  public var backend: any Backend { runner.backend }

  private let model: ONNXModel
  private let interface: ImageInterface
  private let runner: Runner
  private var planned: (images: Shape, plan: Plan, lastUses: [[Int]])?

  /// - Throws: ``Failure`` if the model is not a classifier of images, and for several devices.
  public init(_ model: ONNXModel, on backend: any Backend) throws {
    let description = try model.description()
    guard backend.devices.count == 1 else {
      throw Failure(.unsupported, about: model.path, "an ONNX model runs on one device, not on several")
    }
    (name, classes, channels) = (description.name, description.classes, description.channels)
    (imageSize, normalization) = (description.fixedSize, description.training?.normalization)
    self.model = model
    interface = try model.about { try ImageInterface(model.graph) }
    givesProbabilities = interface.givesProbabilities
    runner = Runner(on: backend)
  }

  public func callAsFunction(_ x: Tensor) throws -> Tensor {
    let batch = interface.batch ?? max(x.shape[0], planned?.images[0] ?? 0)
    if batch == x.shape[0] { return try run(x) }
    // The graph runs as often as needed. Zeros fill up the last batch.
    let (count, row) = (x.shape[0], x.count / x.shape[0])
    let y = try backend.tensor([count, classes.count])
    for first in stride(from: 0, to: count, by: batch) {
      let images = min(batch, count - first)
      let part = try backend.tensor(Shape([batch] + x.shape.dimensions.dropFirst()))
      if images < batch { try backend.fill(part, with: 0) }
      try backend.rearrange(x, piece(images * row, from: first * row), into: part)
      try backend.rearrange(try run(part), piece(images * classes.count, to: first * classes.count), into: y)
    }
    return y
  }

  private func piece(_ count: Int, from start: Int = 0, to end: Int = 0) -> StridedCopy {
    StridedCopy(extents: [count], from: .init(start: start, strides: [1]), to: .init(start: end, strides: [1]))
  }

  private func run(_ x: Tensor) throws -> Tensor {
    let (plan, lastUses) = try plan(for: x.shape)
    let execution = try runner.run(plan, lastUses, inputs: [interface.input.name: x])
    guard case .computed(let output) = plan.outputs[0].value else { preconditionFailure("[ONNX] a constant result") }
    return execution[output, [x.shape[0], classes.count]]
  }

  private func plan(for images: Shape) throws -> (plan: Plan, lastUses: [[Int]]) {
    if let planned, planned.images == images { return (planned.plan, planned.lastUses) }
    runner.forgetParameters()
    let (plan, count) = try model.about { try model.plan(interface, images) }
    guard count == classes.count else {
      throw Failure(
        .mismatch, about: model.path, "it gives \(count) classes for images \(images), and \(classes.count) for others")
    }
    let lastUses = plan.lastUses()
    planned = (images, plan, lastUses)
    return (plan, lastUses)
  }
}
