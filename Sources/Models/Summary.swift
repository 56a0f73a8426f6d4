import Compute
import DryRun
import NN

/// Cost of a model, determined by a dry run before anything is launched.
///
/// ```swift
/// let summary = try Summary(ModelConfiguration(name: "resnet50", classes: 10), images: [64, 224, 224, 3])
/// print(summary.parameters, summary.macs, summary.training.peakBytesHeld)
/// ```
public struct Summary {
  /// One layer of the forward pass.
  public struct Layer: Hashable, Sendable {
    /// Name in torchvision, for example `layer1.0.conv1`; `maxpool`, `avgpool` and `layer2.0.shortcut` have no parameters.
    public var name: String
    /// Shape of the output with the batch: [N,P,Q,K] or [N,K].
    public var output: Shape
    /// Number of trained values.
    public var parameters: Int
    /// Multiply-accumulates of the forward pass over the batch.
    public var macs: Int
    /// Size of the output in bytes.
    public var activationBytes: Int
  }

  /// Configuration of the summarized model.
  public let configuration: ModelConfiguration
  /// Shape of the batch, [N,H,W,C].
  public let images: Shape
  /// Training options.
  public let options: TrainingOptions
  /// Layers in the order in which they run.
  public let layers: [Layer]
  /// Number of trained values.
  public let parameters: Int
  /// Multiply-accumulates of the forward pass over the batch, and of a whole training step including recomputation.
  public let macs, trainingMACs: Int
  /// Statistics of the memory pool after two training steps: parameters, optimizer, batch and activations, without the data set.
  /// Several devices are added up.
  public let training: MemoryUse
  /// Statistics of the memory pool after two training steps, for each of the devices that share the work.
  public let devices: [MemoryUse]
  /// Statistics of the memory pool after inference of the batch; several devices are added up.
  public let inference: MemoryUse
  /// Operations of one training step, and of inference of a batch that is not the first.
  public let step, inferenceOperations: [OperationRecord]

  /// - Parameters:
  ///   - images: shape of the batch, [N,H,W,C].
  ///   - options: training options.
  ///   - device: device whose memory is predicted; nil for no particular one.
  /// - Throws: ``Failure`` for a configuration, images or options that do not make a valid model.
  public init(
    _ configuration: ModelConfiguration, images: Shape, _ options: TrainingOptions = TrainingOptions(),
    on device: (any Backend)? = nil
  ) throws {
    (self.configuration, self.images, self.options) = (configuration, images, options)
    let model = try ResNet(configuration)
    try model.store.freeze(options.frozen)
    // With several devices, the operations are those on the whole batch, and the memory is what each device needs for its share.
    let isShared = (device?.devices.count ?? 1) > 1
    let log = DryRunBackend(modeling: device?.devices[0])
    var ends: [Int] = []
    var uses = try Self.train(
      model, images, options, on: log, onLayer: { log.layer = $0 }, onStep: { ends.append(log.operations.count) })
    step = Array(log.operations[ends[0]..<ends[1]])
    if let device, isShared { uses = try Self.train(model, images, options, on: device.dryRun()) }
    devices = uses
    training = uses.reduce(MemoryUse(), +)

    let inferenceLog = DryRunBackend(modeling: device?.devices[0])
    uses = try Self.infer(configuration, images, options.precision, on: inferenceLog) {
      ends.append(inferenceLog.operations.count)
    }
    inferenceOperations = Array(inferenceLog.operations[ends[ends.count - 2]..<ends[ends.count - 1]])
    if let device, isShared { uses = try Self.infer(configuration, images, options.precision, on: device.dryRun()) }
    inference = uses.reduce(MemoryUse(), +)
    parameters = model.store.parameterCount
    let forward = step.prefix { !["crossEntropy", "sumClassWeights"].contains($0.operation) }.filter { !$0.layer.isEmpty }
    layers = Self.layers(forward, model.store)
    macs = layers.reduce(0) { $0 + $1.macs }
    trainingMACs = step.reduce(0) { $0 + $1.macs }
  }

  /// Runs two training steps and two batches of inference on uninitialized memory, so that a device builds its kernels, or so
  /// that the kernels can be listed.
  /// - Parameters:
  ///   - images: shape of the batch, [N,H,W,C].
  ///   - training: false for inference alone.
  /// - Throws: ``Failure`` for an invalid network; errors of the backend.
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

  /// Runs two training steps.
  /// - Parameter onStep: called before the first step, and after each step.
  /// - Returns: statistics of each device's memory pool.
  static func train(
    _ model: ResNet, _ images: Shape, _ options: TrainingOptions, on backend: any Backend,
    onLayer: ((String) -> Void)? = nil, onStep: () -> Void = {}
  ) throws -> [MemoryUse] {
    try model.check(images, .training)
    try model.store.allocate(on: backend)
    let precision = options.precision
    let optimizer = try Optimizer(
      model.store, options.optimizer, scalingLoss: precision.needsLossScaling, guarding: options.guardsSteps ? 1 : nil)
    let average = options.averages ? try WeightAverage(of: model, decay: 0) : nil
    let lookahead = options.looksAhead ? try Lookahead(model.store, every: 1, guardedBy: optimizer.stepGuard) : nil
    let depth = options.skipsBlocks ? try StochasticDepth(model, dropProbability: 0.5) : nil
    let expected = try depth.map { try ExpectedNetwork(of: model, $0) }
    let folded = FoldedParameters()
    let classes = model.configuration.classes
    let classWeights =
      options.weighsClasses ? try backend.upload(HostTensor([Float](repeating: 1, count: classes), shape: [classes])) : nil
    func step(skipping skipped: Set<Int> = []) throws {
      let batch = try (
        images: backend.batchTensor(images, precision.storage(on: backend)),
        labels: backend.uploadBatch(HostTensor([Int32](repeating: 0, count: images[0]), shape: [images[0]])),
        metrics: backend.tensor([3])
      )
      try withExtendedLifetime(batch) {
        try model.accumulateGradients(
          images: batch.images, labels: batch.labels, classWeights: classWeights, recompute: options.recompute,
          skipping: skipped, metrics: batch.metrics, optimizer, folded: folded, onLayer: onLayer)
        try optimizer.step(learningRate: 0)
        try lookahead?.move()
        try average?.update(from: model, step: optimizer.steps)
      }
    }
    onStep()
    for _ in 0..<2 {
      try step()
      onStep()
    }
    // Shortcuts without their branches have kernels of their own.
    if let depth { try step(skipping: depth.fewest) }
    try expected?.update(from: model)
    return withExtendedLifetime((optimizer, average, lookahead, expected, folded)) { backend.devices.map(\.memory) }
  }

  /// Runs two batches of inference; the second uses what the first has derived from the parameters.
  /// - Parameter onBatch: called before the first batch, and after each batch.
  /// - Returns: statistics of each device's memory pool.
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
