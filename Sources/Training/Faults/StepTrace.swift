import Compute
import Models
import NN
import Support

/// A step of training that was computed again, operation by operation, on a device, and if wanted on a reference beside it.
package struct StepTrace {
  /// A result of an operation whose distance from the reference is known.
  package struct Deviation: Hashable, Sendable {
    /// The result, as messages name it.
    package let name: String
    package let isBackward: Bool
    /// Largest distance of a value from the reference, relative to the largest magnitude on the reference.
    package let distance: Double
  }

  /// Sum of the losses of the images, on the device and on the reference.
  package private(set) var loss = 0.0
  package private(set) var referenceLoss: Double?
  /// First result that is not finite on the device, and first one on the reference.
  package private(set) var first, firstOnReference: FaultFinding?
  /// Whether the reference had the first result of the device, and all before it, finite; and its largest magnitude there.
  package private(set) var referenceAtFirst: Float?
  /// Results in the order of the operations.
  package private(set) var deviations: [Deviation] = []

  private var isBackward = false
  private var layer = ""

  /// Ends a trace when it has found what it was to find.
  private struct Found: Error {}

  /// Computes a step again.
  /// - Parameters:
  ///   - precision: storage of activations on the device.
  ///   - reference: backend that computes everything as well; nil for none.
  /// - Throws: errors of the backends, for example a lack of memory.
  package init(
    _ record: FaultRecord, on device: any Backend, _ precision: Precision, against reference: (any Backend)? = nil
  ) throws {
    let backend = ComparingBackend(device, against: reference, storage: precision.storage(on: device))
    let model = try ResNet(record.configuration.model)
    try model.store.freeze(record.configuration.frozen)
    try model.store.allocate(on: backend)
    try model.store.load(Dictionary(uniqueKeysWithValues: record.weights.map { ($0.name, $0.tensor) }))
    try run(record, model, backend, precision, endsAtFirst: false)
  }

  /// Finds the first result of a step that is not finite, in the memory of a model that is on the device already. Its weights are
  /// those before the step. Its running statistics and gradients change.
  init(_ record: FaultRecord, in model: ResNet, _ precision: Precision) throws {
    let (store, device) = (model.store, model.store.backend)
    let backend = ComparingBackend(device, storage: precision.storage(on: device))
    let same = try ResNet(record.configuration.model)
    try same.store.freeze(record.configuration.frozen)
    try same.store.place(
      weights: backend.adopt(store.weightsArena), gradients: backend.adopt(store.gradientsArena),
      state: backend.adopt(store.stateArena), on: backend)
    do { try run(record, same, backend, precision, endsAtFirst: true) } catch is Found {}
  }

  private mutating func run(
    _ record: FaultRecord, _ model: ResNet, _ backend: ComparingBackend, _ precision: Precision, endsAtFirst: Bool
  ) throws {
    // The observer is called within this function only.
    var trace = self
    defer {
      backend.onResult = { _, _, _, _ in }
      self = trace
    }
    backend.onResult = { operation, tensor, result, reference in
      trace.add(operation, tensor, result, reference)
      if endsAtFirst && trace.first != nil { throw Found() }
    }
    let (run, scale) = (record.configuration, record.header.lossScale.map(Float.init))
    let lossScale = try scale.map { try backend.upload(HostTensor([$0, $0, 1, 0, 0], shape: [LossScale.count])) }
    let classWeights = try record.classWeights.map { try backend.upload($0) }
    let (metrics, folded) = (try backend.tensor([3]), FoldedParameters())
    try backend.fill(metrics, with: 0)
    for batch in record.batches {
      trace.isBackward = false
      try model.computeGradients(
        images: backend.uploadBatch(batch.images, as: precision.storage(on: backend)), labels: backend.uploadBatch(batch.labels),
        smoothing: run.labelSmoothing, classWeights: classWeights, recompute: run.recompute, skipping: batch.skipped,
        metrics: metrics, lossScale: lossScale, folded: folded, onLayer: { trace.layer = $0 })
    }
    trace.loss = try backend.download(metrics).doubles[0]
    trace.referenceLoss = try backend.downloadFromReference(metrics)?.doubles[0]
  }

  private mutating func add(_ operation: String, _ tensor: String, _ result: HostTensor, _ reference: HostTensor?) {
    if operation.hasSuffix("rossEntropy") { isBackward = true }
    let values = result.floats
    let figures = TensorFigures(values)
    func finding(_ figures: TensorFigures) -> FaultFinding? {
      FaultFinding(figures, of: tensor, result.shape, layer: layer, operation: operation, isBackward: isBackward)
    }
    let wasFinite = firstOnReference == nil
    if let reference {
      let others = reference.floats
      let expected = TensorFigures(others)
      if firstOnReference == nil { firstOnReference = finding(expected) }
      if first == nil, figures.faults > 0, wasFinite, expected.faults == 0 { referenceAtFirst = expected.largest }
      // Later results differ by what is not finite already.
      if first == nil && wasFinite { note(operation, tensor, values, figures, others, expected) }
    }
    if first == nil { first = finding(figures) }
  }

  /// Keeps the deviation of a result that is finite on both backends.
  private mutating func note(
    _ operation: String, _ tensor: String, _ values: [Float], _ figures: TensorFigures, _ others: [Float],
    _ expected: TensorFigures
  ) {
    guard figures.faults == 0, expected.faults == 0, operation != "fill", operation != "copy" else { return }
    var distance = 0.0
    for (a, b) in zip(values, others) { distance = max(distance, (Double(a) - Double(b)).magnitude) }
    let name = FaultFinding(
      layer: layer, operation: operation, tensor: tensor, isBackward: isBackward, count: 0, total: 0, shape: [], first: [],
      value: ""
    ).name
    deviations.append(
      Deviation(
        name: name, isBackward: isBackward,
        distance: distance == 0 ? 0 : distance / Double(max(expected.largest, .leastNormalMagnitude))))
  }
}
