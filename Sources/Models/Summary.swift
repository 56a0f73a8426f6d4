import Compute
import NN

/// What a model costs, learnt from a dry run before anything is launched.
public struct Summary {
  /// One layer of the forward pass.
  public struct Layer: Hashable, Sendable {
    /// torchvision's name, for example `layer1.0.conv1`; `maxpool`, `avgpool` and `layer2.0.shortcut` have no parameters.
    public var name: String
    /// With the batch: [N,P,Q,K] or [N,K].
    public var output: Shape
    /// Trained values.
    public var parameters: Int
    /// Multiply-accumulates of the forward pass over the batch.
    public var macs: Int
    /// Bytes of the output.
    public var activationBytes: Int
  }

  /// What is summarised, and the batch [N,H,W,C].
  public let configuration: ModelConfiguration
  public let images: Shape
  /// Whether training computes activations again instead of keeping them.
  public let recompute: Bool
  /// How activations are stored.
  public let precision: Precision
  public let layers: [Layer]
  /// Trained values.
  public let parameters: Int
  /// Multiply-accumulates of the forward pass over the batch, and of a whole training step with what it computes again.
  public let macs, trainingMACs: Int
  /// The memory pool after two training steps: parameters, optimiser, batch and activations, without the data set.
  public let training: MemoryUse
  /// The same after inference of the batch.
  public let inference: MemoryUse
  /// Every operation of one training step, and of inference of a batch that is not the first.
  public let step, inferenceOperations: [OperationRecord]

  /// - Parameters:
  ///   - images: [N,H,W,C].
  ///   - recompute: train with ``ResNet/callAsFunction(_:_:recompute:)``'s option.
  ///   - precision: how activations are stored.
  ///   - device: the one whose memory is predicted; nil for none in particular.
  /// - Throws: ``Failure`` for a configuration or images that do not make a model.
  public init(
    _ configuration: ModelConfiguration, images: Shape, recompute: Bool = false, precision: Precision = .fp32,
    on device: (any Backend)? = nil
  ) throws {
    (self.configuration, self.images, self.recompute, self.precision) = (configuration, images, recompute, precision)
    let model = try ResNet(configuration)
    (training, step) = try Self.train(model, images, recompute, precision, device)
    (inference, inferenceOperations) = try Self.infer(configuration, images, precision, device)
    parameters = model.store.parameterCount
    let forward = step.prefix { $0.operation != "crossEntropy" }.filter { !$0.layer.isEmpty }
    layers = Self.layers(forward, model.store)
    macs = layers.reduce(0) { $0 + $1.macs }
    trainingMACs = step.reduce(0) { $0 + $1.macs }
  }

  /// Two steps of training; of the first, every operation, unless logging is turned off.
  static func train(
    _ model: ResNet, _ images: Shape, _ recompute: Bool, _ precision: Precision, _ device: (any Backend)?, isLogging: Bool = true
  ) throws -> (memory: MemoryUse, step: [OperationRecord]) {
    try model.check(images, .training)
    let backend = DryRunBackend(modelling: device, isLogging: isLogging)
    try model.store.allocate(on: backend)
    let optimiser = try SGD(model.store, scalingLoss: precision.needsLossScaling)
    let start = backend.operations.count
    var end = start
    for index in 0..<2 {
      let batch = try (
        images: backend.batchTensor(images, precision.storage(on: backend)), labels: backend.batchTensor([images[0]], .int32),
        metrics: backend.tensor([3])
      )
      try withExtendedLifetime(batch) {
        try model.trainingStep(
          images: batch.images, labels: batch.labels, recompute: recompute, metrics: batch.metrics, optimiser, learningRate: 0
        ) { backend.layer = $0 }
      }
      if index == 0 { end = backend.operations.count }
    }
    return (backend.memory, Array(backend.operations[start..<end]))
  }

  private static func infer(
    _ configuration: ModelConfiguration, _ images: Shape, _ precision: Precision, _ device: (any Backend)?
  ) throws -> (MemoryUse, [OperationRecord]) {
    let model = try ResNet(configuration)
    let backend = DryRunBackend(modelling: device)
    try model.store.allocate(on: backend)
    // The second batch uses what the first has derived from the parameters.
    let folded = FoldedParameters()
    var start = 0
    for _ in 0..<2 {
      start = backend.operations.count
      _ = try model(
        Variable(try backend.batchTensor(images, precision.storage(on: backend))),
        Pass(on: backend, mode: .inference, folded: folded))
    }
    return (backend.memory, Array(backend.operations[start...]))
  }

  private static func layers(_ forward: [OperationRecord], _ store: ParameterStore) -> [Layer] {
    var parameters: [Substring: Int] = [:]
    for parameter in store.parameters {
      guard let dot = parameter.name.lastIndex(of: ".") else { continue }
      parameters[parameter.name[..<dot], default: 0] += parameter.shape.count
    }
    var layers: [Layer] = []
    for record in forward {
      if layers.last?.name != record.layer {
        let count = parameters[record.layer[...]] ?? 0
        layers.append(Layer(name: record.layer, output: [], parameters: count, macs: 0, activationBytes: 0))
      }
      layers[layers.count - 1].output = record.output
      layers[layers.count - 1].macs += record.macs
      layers[layers.count - 1].activationBytes = record.outputBytes
    }
    return layers
  }
}
