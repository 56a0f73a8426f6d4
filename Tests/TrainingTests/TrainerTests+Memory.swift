import Compute
import Models
import NN
import OpenCLBackend
import Testing
import Training

/// Tests the memory that training takes.
extension TrainerTests {
  @Test func nothingIsAllocatedAfterTheSecondStep() throws {
    let backend = try device()
    var run = configuration
    run.epochs = 1
    let trainer = try trainer("a", run, on: backend)
    // The closure is called before each step and before each validation batch.
    var allocations: [Int] = []
    _ = try trainer.run(shouldStop: {
      allocations.append(backend.memory.allocations)
      return false
    })
    #expect(allocations.count > 6)
    #expect(allocations[2] > allocations[0])
    #expect(Set(allocations[2..<6]).count == 1, "blocks asked of the driver before each step: \(allocations)")
  }

  @Test(arguments: [false, true], Precision.allCases) func dryRunPredictsThePool(recompute: Bool, precision: Precision) throws {
    let backend = try device()
    let configuration = ModelConfiguration(name: "resnet20", classes: 10, channels: 3, shortcut: .projection)
    let shape: Shape = [8, 32, 32, 3]
    let predicted = try Summary(
      configuration, images: shape, TrainingOptions(recompute: recompute, precision: precision), on: backend)
    let fresh = try device()
    let model = try ResNet(configuration)
    try model.store.allocate(on: fresh, seed: 1)
    let optimizer = try Optimizer(model.store, scalingLoss: precision.needsLossScaling)
    for _ in 0..<2 {
      let images = try fresh.tensor(shape, precision.storage(on: fresh))
      try fresh.fill(images, with: 0.5)
      let labels = try fresh.tensor([8], .int32)
      try fresh.fill(labels, with: 1)
      let metrics = try fresh.tensor([3])
      try fresh.fill(metrics, with: 0)
      try model.trainingStep(
        images: images, labels: labels, recompute: recompute, metrics: metrics, optimizer, learningRate: 0.1)
    }
    #expect(fresh.memory == predicted.training)
  }

  /// Includes everything that takes memory besides weights and activations.
  @Test func dryRunPredictsThePoolOfFineTuning() throws {
    let backend = try device()
    let configuration = ModelConfiguration(name: "resnet20", classes: 10, channels: 3)
    let options = TrainingOptions(
      optimizer: Optimizer.Options(.adamW, maximumNorm: 1, accumulates: true), frozen: ["conv1", "bn1"], averages: true,
      weighsClasses: true, looksAhead: true, skipsBlocks: true)
    let predicted = try Summary(configuration, images: [8, 32, 32, 3], options, on: backend)
    let fresh = try device()
    let model = try ResNet(configuration)
    try model.store.freeze(options.frozen)
    try model.store.allocate(on: fresh, seed: 1)
    let optimizer = try Optimizer(model.store, options.optimizer)
    let average = try WeightAverage(of: model, decay: 0.9)
    let lookahead = try Lookahead(model.store, every: 1)
    let depth = try StochasticDepth(model, dropProbability: 0.3)
    let expected = try ExpectedNetwork(of: model, depth)
    let folded = FoldedParameters()
    let classWeights = try fresh.upload(HostTensor([Float](repeating: 1, count: 10), shape: [10]))
    for skipped in [[], [], Set(depth.survival.indices)] {
      let (images, labels) = (try fresh.tensor([8, 32, 32, 3]), try fresh.tensor([8], .int32))
      let metrics = try fresh.tensor([3])
      for tensor in [images, labels, metrics] { try fresh.fill(tensor, with: 0) }
      try model.accumulateGradients(
        images: images, labels: labels, classWeights: classWeights, skipping: skipped, metrics: metrics, optimizer,
        folded: folded)
      try optimizer.step(learningRate: 0.1)
      try lookahead.move()
      try average.update(from: model, step: optimizer.steps)
    }
    try expected.update(from: model)
    #expect(fresh.memory == predicted.training)
  }
}
