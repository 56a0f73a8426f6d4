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

  public let layers: [Layer]
  /// Trained values.
  public let parameters: Int
  /// Multiply-accumulates of the forward pass over the batch, and of a whole training step.
  public let macs, trainingMACs: Int
  /// The memory pool after two training steps: parameters, optimiser, batch and activations, without the data set.
  public let training: MemoryUse
  /// The same after inference of the batch.
  public let inference: MemoryUse
  /// Every operation of one training step.
  public let step: [OperationRecord]
  /// Every operation of the inference of one batch.
  public let inferenceStep: [OperationRecord]

  /// - Parameters:
  ///   - images: [N,H,W,C].
  ///   - device: the one whose memory is predicted; nil for none in particular.
  /// - Throws: ``Failure`` for a configuration or images that do not make a model.
  public init(_ configuration: ModelConfiguration, images: Shape, on device: (any Backend)? = nil) throws {
    let model = try ResNet(configuration)
    try model.check(images, .training)
    let backend = DryRunBackend(modelling: device)
    try model.store.allocate(on: backend)
    let optimiser = try SGD(model.store)
    let start = backend.operations.count
    try Self.train(model, optimiser, images, backend)
    step = Array(backend.operations[start...])
    try Self.train(model, optimiser, images, backend)

    training = backend.memory
    let inferring = try Self.infer(configuration, images, device)
    (inference, inferenceStep) = (inferring.memory, inferring.operations)
    parameters = model.store.parameterCount
    let forward = step.prefix { $0.operation != "crossEntropy" }.filter { !$0.layer.isEmpty }
    layers = Self.layers(forward, model.store, elementBytes: backend.scalar.byteCount)
    macs = layers.reduce(0) { $0 + $1.macs }
    trainingMACs = step.reduce(0) { $0 + $1.macs }
  }

  /// Compares what training will hold with what the device has, before anything is launched.
  /// - Parameter otherBytes: device memory that is needed besides, for example the data set's.
  /// - Throws: ``Failure`` where the memory does not suffice.
  public func requireMemoryForTraining(on device: any Backend, otherBytes: Int = 0) throws {
    let needed = training.peakBytesHeld + otherBytes
    if needed > device.memoryLimit {
      throw Failure(
        "training needs \(rounded(bytes: needed)) of device memory, and \(device.name) has \(rounded(bytes: device.memoryLimit)) free: use a "
          + "smaller --batch-size or model")
    }
  }

  private static func train(_ model: ResNet, _ optimiser: SGD, _ images: Shape, _ backend: DryRunBackend) throws {
    let batch = try (images: backend.tensor(images), labels: backend.tensor([images[0]], .int32), metrics: backend.tensor([3]))
    try withExtendedLifetime(batch) {
      try model.trainingStep(
        images: batch.images, labels: batch.labels, metrics: batch.metrics, optimiser, learningRate: 0
      ) { backend.layer = $0 }
    }
  }

  private static func infer(
    _ configuration: ModelConfiguration, _ images: Shape, _ device: (any Backend)?
  ) throws -> DryRunBackend {
    let model = try ResNet(configuration)
    let backend = DryRunBackend(modelling: device)
    try model.store.allocate(on: backend)
    _ = try model(Variable(try backend.tensor(images)), Pass(on: backend, mode: .inference))
    return backend
  }

  private static func layers(_ forward: [OperationRecord], _ store: ParameterStore, elementBytes: Int) -> [Layer] {
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
      layers[layers.count - 1].activationBytes = record.output.count * elementBytes
    }
    return layers
  }
}
