import CPUBackend
import Compute
import DryRun
import Models
import NN
import Support
import Testing

/// Tests stochastic depth: the draws, a step that skips blocks, and the network for evaluation.
@Suite struct StochasticDepthTests {
  /// A network with three blocks, the second and the third of which change the shape, and a batch for it.
  private struct Trial {
    let backend = CPUBackend(precision: .float64)
    let model: ResNet
    let optimizer: Optimizer
    let images, labels: Tensor

    init(_ name: String, _ shortcut: ShortcutOption?, frozen: [String] = []) throws {
      model = try ResNet(ModelConfiguration(name: name, classes: 3, channels: 2, shortcut: shortcut))
      try model.store.freeze(frozen)
      try model.store.allocate(on: backend, seed: 5)
      optimizer = try Optimizer(model.store, Optimizer.Options(momentum: 0.5, weightDecay: 0.1))
      var random = Philox(seed: 1, stream: 2)
      let shape: Shape = [3, 9, 7, 2]
      images = try backend.upload(HostTensor((0..<shape.count).map { _ in random.uniform() - 0.5 }, shape: shape))
      labels = try backend.upload(HostTensor([0, 2, 1] as [Int32], shape: [3]))
    }

    /// Returns the loss, after forward and backward passes without the blocks.
    func gradients(skipping skipped: Set<Int> = [], recompute: Bool = false) throws -> Double {
      let metrics = try backend.tensor([3])
      backend.fill(metrics, with: 0)
      try model.accumulateGradients(
        images: images, labels: labels, recompute: recompute, skipping: skipped, metrics: metrics, optimizer)
      return try backend.download(metrics).doubles[0] / 3
    }

    func values(_ tensor: (Parameter) -> Tensor, where isTaken: (Parameter) -> Bool = { _ in true }) throws -> [String: [Double]]
    {
      let found = try model.store.entries.filter(isTaken).map { ($0.name, try backend.download(tensor($0)).doubles) }
      return Dictionary(uniqueKeysWithValues: found)
    }
  }

  private static let networks: [(String, ShortcutOption?)] = [
    ("resnet8", .padding), ("resnet8", .projection), ("preresnet8", .padding), ("preresnet8", .projection), ("resnet14", nil),
    ("resnet18", nil), ("preresnet14", nil),
  ]

  @Test func survivalFallsLinearly() throws {
    let model = try ResNet(ModelConfiguration(name: "resnet14", classes: 3))
    let depth = try StochasticDepth(model, dropProbability: 0.6)
    for (probability, expected) in zip(depth.survival, [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]) {
      #expect(abs(probability - expected) < 1e-12)
    }
    // The standard deviation of a count is at most 35.
    let draws = (0..<5000).map { depth.skipped(seed: 3, epoch: $0 / 100, batch: $0 % 100) }
    for (block, probability) in depth.survival.enumerated() {
      let count = Double(draws.filter { $0.contains(block) }.count)
      #expect(abs(count - 5000 * (1 - probability)) < 170, "block \(block)")
    }
    // A draw follows from seed, epoch and batch, and the blocks are independent.
    #expect(depth.skipped(seed: 3, epoch: 1, batch: 7) == draws[107])
    let both = Double(draws.filter { $0.isSuperset(of: [4, 5]) }.count)
    #expect(abs(both - 5000 * 0.3) < 170)
    #expect(draws[..<100].elementsEqual(draws[100..<200]) == false)
    #expect((0..<100).map { depth.skipped(seed: 4, epoch: 0, batch: $0) } != Array(draws[..<100]))
    let none = try StochasticDepth(model, dropProbability: 0)
    #expect((0..<100).allSatisfy { none.skipped(seed: 1, epoch: 0, batch: $0).isEmpty })
  }

  @Test func frozenBlocksStay() throws {
    let model = try ResNet(ModelConfiguration(name: "resnet14", classes: 3))
    try model.store.freeze(["layer1", "layer2.1", "layer3.0.conv1"])
    let depth = try StochasticDepth(model, dropProbability: 0.9)
    #expect(depth.survival.map { $0 == 1 } == [true, true, false, true, false, false])
  }

  /// Compares with the same network whose branches are multiplied by zero: the loss and all gradients that remain are the same.
  @Test(arguments: networks) func skippedBlocksAreTheirShortcuts(_ name: String, _ shortcut: ShortcutOption?) throws {
    let (skipping, multiplying) = (try Trial(name, shortcut), try Trial(name, shortcut))
    let blocks = skipping.model.store.entries.compactMap { $0.name.wholeMatch(of: /(layer\d\.\d+)\.conv1\.weight/)?.1 }
    let skipped: Set = [0, 1, blocks.count - 1]
    let before = try skipping.values(\.value, where: { !$0.kind.isTrained })
    for parameter in skipping.model.store.parameters { skipping.backend.fill(parameter.gradient, with: 7) }
    let last = name.hasPrefix("pre") ? ["conv2.weight"] : ["bn2.weight", "bn2.bias"]
    for block in skipped {
      for name in last {
        let parameter = try #require(multiplying.model.store["\(blocks[block]).\(name)"])
        multiplying.backend.fill(parameter.value, with: 0)
      }
    }
    let (loss, expected) = (try skipping.gradients(skipping: skipped), try multiplying.gradients())
    #expect(abs(loss - expected) < 1e-12)

    let isPreActivated = name.hasPrefix("pre")
    func isLeftOut(_ parameter: Parameter) -> Bool {
      guard let block = skipped.first(where: { parameter.name.hasPrefix("\(blocks[$0]).") }) else { return false }
      let changesShape = block > 0 && blocks[block].hasSuffix(".0")
      let isOfShortcut = parameter.name.contains("downsample")
      return !isOfShortcut && !(isPreActivated && changesShape && parameter.name.contains("bn1"))
    }
    let (found, wanted) = try (
      skipping.values(\.gradient, where: \.kind.isTrained), multiplying.values(\.gradient, where: \.kind.isTrained)
    )
    for parameter in skipping.model.store.parameters {
      let (values, others) = (try #require(found[parameter.name]), try #require(wanted[parameter.name]))
      if isLeftOut(parameter) {
        #expect(values.allSatisfy { $0 == 0 }, "\(parameter.name)")
      } else {
        #expect(zip(values, others).allSatisfy { abs($0 - $1) < 1e-10 }, "\(parameter.name)")
        #expect(values.contains { $0 != 0 && $0 != 7 }, "\(parameter.name)")
      }
    }
    // Running statistics of what is left out stay.
    let after = try skipping.values(\.value, where: { !$0.kind.isTrained })
    for estimate in skipping.model.store.entries where !estimate.kind.isTrained {
      #expect((before[estimate.name] == after[estimate.name]) == isLeftOut(estimate), "\(estimate.name)")
    }
  }

  /// Activations that are recomputed are the same, also where a part of the network consists of skipped blocks alone.
  @Test(arguments: [("resnet14", [1, 2, 5]), ("preresnet14", [0, 4, 5]), ("resnet44", [0, 1, 2, 3, 9, 20])])
  func recomputedStepsAreTheSameBits(_ name: String, _ skipped: [Int]) throws {
    let (kept, recomputed) = (try Trial(name, nil), try Trial(name, nil))
    #expect(
      try kept.gradients(skipping: Set(skipped)) == recomputed.gradients(skipping: Set(skipped), recompute: true))
    for tensor in [\Parameter.gradient, \Parameter.value] {
      #expect(
        try kept.values({ $0[keyPath: tensor] }, where: \.kind.isTrained)
          == recomputed.values({ $0[keyPath: tensor] }, where: \.kind.isTrained))
    }
  }

  /// Weights whose gradient is zero keep their momentum, and decay.
  @Test func skippedWeightsKeepMomentumAndDecay() throws {
    let trial = try Trial("resnet8", .padding)
    _ = try trial.gradients()
    try trial.optimizer.step(learningRate: 0.1)
    let name = "layer3.0.conv2.weight"
    let parameter = try #require(trial.model.store[name])
    func velocity() throws -> [Double] {
      try #require(try trial.model.store.dictionary(of: trial.optimizer.state[0].arena).first { $0.name == name }).tensor.doubles
    }
    func weights() throws -> [Double] {
      try #require(try trial.model.store.stateDictionary().first { $0.name == name }).tensor.doubles
    }
    let (w, v) = (try weights(), try velocity())
    _ = try trial.gradients(skipping: [2])
    #expect(try trial.backend.download(parameter.gradient).doubles.allSatisfy { $0 == 0 })
    try trial.optimizer.step(learningRate: 0.1)
    for (index, value) in try weights().enumerated() {
      #expect(abs(value - (w[index] - 0.1 * (0.5 * v[index] + 0.1 * w[index]))) < 1e-12)
    }
  }

  /// A step without a block has none of its multiply-accumulates.
  @Test func skippedBlocksCostNothing() throws {
    func work(skipping skipped: Set<Int>) throws -> Int {
      let log = DryRunBackend()
      let model = try ResNet(ModelConfiguration(name: "resnet8", classes: 3))
      try model.store.allocate(on: log)
      let optimizer = try Optimizer(model.store)
      try model.accumulateGradients(
        images: log.batchTensor([2, 8, 8, 3]), labels: log.batchTensor([2], .int32), skipping: skipped, metrics: log.tensor([3]),
        optimizer)
      return log.operations.reduce(0) { $0 + $1.macs }
    }
    // Two convolutions of 16 channels over 2·8·8 pixels, forward and both gradients.
    #expect(try work(skipping: []) - work(skipping: [0]) == 3 * 2 * (2 * 64 * 16 * 16 * 9))
    let convolutions = [(64, 3, 16)].reduce(0) { $0 + 2 * $1.0 * $1.1 * $1.2 * 9 }
    // Of the convolutions only the first is left, without a gradient of the images; the last layer has 64·3 weights.
    #expect(try work(skipping: [0, 1, 2]) == 2 * convolutions + 3 * 2 * 64 * 3)
  }

  @Test(arguments: [("resnet8", ShortcutOption.projection), ("preresnet8", .padding)])
  func branchesAreMultipliedForEvaluation(_ name: String, _ shortcut: ShortcutOption) throws {
    let trial = try Trial(name, shortcut, frozen: ["layer1"])
    _ = try trial.gradients()
    let depth = try StochasticDepth(trial.model, dropProbability: 0.75)
    #expect(depth.survival == [1, 0.5, 0.25])
    let expected = try ExpectedNetwork(of: trial.model, depth)
    let before = try trial.model.store.stateDictionary().map(\.tensor)
    try expected.update(from: trial.model)
    #expect(try trial.model.store.stateDictionary().map(\.tensor) == before)
    let factors = ["layer2.0": 0.5, "layer3.0": 0.25]
    let lasts = name.hasPrefix("pre") ? ["conv2.weight"] : ["bn2.weight", "bn2.bias"]
    for ((name, tensor), (_, own)) in zip(try expected.model.store.stateDictionary(), try trial.model.store.stateDictionary()) {
      let factor = factors.first { block in lasts.contains { name == "\(block.key).\($0)" } }?.value ?? 1
      #expect(zip(tensor.doubles, own.doubles).allSatisfy { abs($0 - factor * $1) < 1e-15 }, "\(name)")
    }
    // A second update begins with the trained weights again.
    let first = try expected.model.store.stateDictionary().map(\.tensor)
    try expected.update(from: trial.model)
    #expect(try expected.model.store.stateDictionary().map(\.tensor) == first)
  }
}
