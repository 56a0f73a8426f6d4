import CPUBackend
import Compute
import Models
import NN
import OpenCL
import OpenCLBackend
import Parallel
import Support

/// Returns two halves of the machine's best OpenCL device, or the device twice if it has a single compute unit.
func halves() throws -> [OpenCLBackend] {
  let device = try DeviceList.find("opencl").device
  let devices = try device.computeUnits > 1 ? device.partitioned(into: 2) : [device, device]
  return try devices.map { try OpenCLBackend(device: $0) }
}

/// Makes CPU references in double precision that share batches in this ratio.
func references(_ weights: [Int]) -> ParallelBackend {
  ParallelBackend(weights.map { _ in CPUBackend(precision: .float64) }, split: BatchSplit(weights: weights))
}

/// Results of a few training steps.
struct Trained {
  /// Σ loss and the correct counts after each step.
  var metrics: [[Double]] = []
  var state: [(name: String, tensor: HostTensor)] = []
  var gradients: [(name: String, tensor: HostTensor)] = []
  /// Logits of the last batch, in inference mode.
  var logits: [Double] = []

  /// Trains a small residual network on random images, with the operations of both kinds of shortcuts.
  init(
    on backend: any Backend, batch: Int, steps: Int, model: String = "resnet8", shortcut: ShortcutOption? = nil, size: Int = 8,
    recompute: Bool = false, normalization: BlockNormalization = .batch
  ) throws {
    let network = try ResNet(
      ModelConfiguration(name: model, classes: 4, channels: 3, shortcut: shortcut, normalization: normalization))
    try network.store.allocate(on: backend, seed: 5)
    let optimizer = try Optimizer(network.store, Optimizer.Options(nesterov: true))
    let shape: Shape = [batch, size, size, 3]
    var random = Philox(seed: 6, stream: 0)
    let metrics = try backend.tensor([3])
    try backend.fill(metrics, with: 0)
    for step in 0..<steps {
      let images = try backend.uploadBatch(HostTensor((0..<shape.count).map { _ in random.uniform() * 2 - 1 }, shape: shape))
      let labels = try backend.uploadBatch(HostTensor((0..<batch).map { _ in Int32(random.below(4)) }, shape: [batch]))
      try network.trainingStep(
        images: images, labels: labels, smoothing: 0.1, recompute: recompute, metrics: metrics, optimizer, learningRate: 0.05)
      self.metrics.append(try backend.download(metrics).doubles)
      if step == steps - 1 {
        let pass = Pass(on: backend, mode: .inference)
        logits = try backend.download(network(Variable(images), pass).value).doubles
      }
    }
    state = try network.store.stateDictionary()
    gradients = try network.store.dictionary(of: network.store.gradientsArena)
  }

  /// Returns the largest distance between two values, relative to the largest value of its tensor.
  func distance(to other: Trained) -> Double {
    let own = metrics + [logits] + (state + gradients).map(\.tensor.doubles)
    let others = other.metrics + [other.logits] + (other.state + other.gradients).map(\.tensor.doubles)
    precondition(own.map(\.count) == others.map(\.count), "different networks")
    return zip(own, others).map { a, b in
      let distances = zip(a, b).map { ($0 - $1).magnitude }
      if distances.contains(where: \.isNaN) { return .infinity }
      return (distances.max() ?? 0) / max(b.map(\.magnitude).max() ?? 0, .leastNormalMagnitude)
    }.max() ?? .infinity
  }
}
