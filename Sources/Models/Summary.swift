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
  /// The batch [N,H,W,C].
  public let images: Shape
  /// How it is trained.
  public let options: TrainingOptions
  /// In the order in which they run.
  public let layers: [Layer]
  /// Trained values.
  public let parameters: Int
  /// Multiply-accumulates of the forward pass over the batch, and of a whole training step with what it computes again.
  public let macs, trainingMACs: Int
  /// The memory pool after two training steps: parameters, optimiser, batch and activations, without the data set. Of several devices,
  /// all together.
  public let training: MemoryUse
  /// The same of each of the devices that share the work.
  public let devices: [MemoryUse]
  /// The same after inference of the batch.
  public let inference: MemoryUse
  /// Every operation of one training step, and of inference of a batch that is not the first.
  public let step, inferenceOperations: [OperationRecord]

  /// - Parameters:
  ///   - images: [N,H,W,C].
  ///   - options: how it is trained.
  ///   - device: the one whose memory is predicted; nil for none in particular.
  /// - Throws: ``Failure`` for a configuration, images or options that do not make a model.
  public init(
    _ configuration: ModelConfiguration, images: Shape, _ options: TrainingOptions = TrainingOptions(),
    on device: (any Backend)? = nil
  ) throws {
    (self.configuration, self.images, self.options) = (configuration, images, options)
    let model = try ResNet(configuration)
    try model.store.freeze(options.frozen)
    // Of several devices, the operations are those on the whole batch, and the memory is that which each needs for its share.
    let isShared = (device?.devices.count ?? 1) > 1
    let log = DryRunBackend(modelling: device?.devices[0])
    var ends: [Int] = []
    var uses = try Self.train(
      model, images, options, on: log, onLayer: { log.layer = $0 }, onStep: { ends.append(log.operations.count) })
    step = Array(log.operations[ends[0]..<ends[1]])
    if let device, isShared { uses = try Self.train(model, images, options, on: device.dryRun()) }
    devices = uses
    training = uses.reduce(MemoryUse(), +)

    let inferenceLog = DryRunBackend(modelling: device?.devices[0])
    uses = try Self.infer(configuration, images, options.precision, on: inferenceLog) {
      ends.append(inferenceLog.operations.count)
    }
    inferenceOperations = Array(inferenceLog.operations[ends[ends.count - 2]..<ends[ends.count - 1]])
    if let device, isShared { uses = try Self.infer(configuration, images, options.precision, on: device.dryRun()) }
    inference = uses.reduce(MemoryUse(), +)
    parameters = model.store.parameterCount
    let forward = step.prefix { $0.operation != "crossEntropy" }.filter { !$0.layer.isEmpty }
    layers = Self.layers(forward, model.store)
    macs = layers.reduce(0) { $0 + $1.macs }
    trainingMACs = step.reduce(0) { $0 + $1.macs }
  }

  /// Runs two training steps and two batches of inference on memory as it comes, so that a device builds its kernels, or a list of
  /// them is made.
  /// - Parameters:
  ///   - images: [N,H,W,C].
  ///   - training: false for inference alone.
  /// - Throws: ``Failure`` for a network that is none; what the backend throws.
  public static func rehearse(
    _ configuration: ModelConfiguration, images: Shape, _ options: TrainingOptions, training: Bool = true, on backend: any Backend
  ) throws {
    if training {
      let model = try ResNet(configuration)
      try model.store.freeze(options.frozen)
      _ = try train(model, images, options, on: backend)
    }
    _ = try infer(configuration, images, options.precision, on: backend)
  }

  /// Two steps of training.
  /// - Parameter onStep: called before the first, and after each.
  /// - Returns: what each device's memory pool has done.
  static func train(
    _ model: ResNet, _ images: Shape, _ options: TrainingOptions, on backend: any Backend,
    onLayer: ((String) -> Void)? = nil, onStep: () -> Void = {}
  ) throws -> [MemoryUse] {
    try model.check(images, .training)
    try model.store.allocate(on: backend)
    let precision = options.precision
    let optimiser = try Optimiser(model.store, options.optimiser, scalingLoss: precision.needsLossScaling)
    let average = options.averages ? try WeightAverage(of: model, decay: 0) : nil
    let folded = FoldedParameters()
    onStep()
    for _ in 0..<2 {
      let batch = try (
        images: backend.batchTensor(images, precision.storage(on: backend)),
        labels: backend.uploadBatch(HostTensor([Int32](repeating: 0, count: images[0]), shape: [images[0]])),
        metrics: backend.tensor([3])
      )
      try withExtendedLifetime(batch) {
        try model.accumulateGradients(
          images: batch.images, labels: batch.labels, recompute: options.recompute, metrics: batch.metrics, optimiser,
          folded: folded, onLayer: onLayer)
        try optimiser.step(learningRate: 0)
        try average?.update(from: model, step: optimiser.steps)
      }
      onStep()
    }
    return withExtendedLifetime((optimiser, average, folded)) { backend.devices.map(\.memory) }
  }

  /// Two batches of inference; the second uses what the first has derived from the parameters.
  /// - Parameter onBatch: called before the first, and after each.
  /// - Returns: what each device's memory pool has done.
  private static func infer(
    _ configuration: ModelConfiguration, _ images: Shape, _ precision: Precision, on backend: any Backend,
    onBatch: () -> Void = {}
  ) throws -> [MemoryUse] {
    let model = try ResNet(configuration)
    try model.store.allocate(on: backend, gradients: false)
    let folded = FoldedParameters()
    onBatch()
    for _ in 0..<2 {
      _ = try model(
        Variable(try backend.batchTensor(images, precision.storage(on: backend))),
        Pass(on: backend, mode: .inference, folded: folded))
      onBatch()
    }
    return withExtendedLifetime((model, folded)) { backend.devices.map(\.memory) }
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
