import CPUBackend
import Compute
import NN
import Support
import Testing

@Suite struct OptimizerTests {
  @Test(arguments: [false, true]) func stepsFollowTheRule(nesterov: Bool) throws {
    let (store, backend) = (ParameterStore(), CPUBackend(precision: .float64))
    let layer = LinearLayer(store.root / "fc", inputs: 1, outputs: 1)
    try store.allocate(on: backend)
    try store.assign("fc.weight", HostTensor([2.0], shape: [1, 1]))
    let optimizer = try Optimizer(store, Optimizer.Options(momentum: 0.5, nesterov: nesterov, weightDecay: 0.1))
    var (w, v) = (2.0, 0.0)
    for rate in [0.1, 0.05, 0.01] {
      backend.fill(layer.weight.gradient, with: 3)
      try optimizer.accumulate()
      try optimizer.step(learningRate: rate)
      let g = 3 + 0.1 * w
      v = 0.5 * v + g
      w -= rate * (nesterov ? g + 0.5 * v : v)
      #expect(abs(try backend.download(layer.weight.value).doubles[0] - w) < 1e-12)
    }
    let velocity = try store.dictionary(of: optimizer.state[0].arena)
    #expect(velocity.map(\.name) == ["fc.weight", "fc.bias"])
    #expect(abs(velocity[0].tensor.doubles[0] - v) < 1e-12)
    // The padding between parameters stays zero.
    let arena = try backend.download(store.weightsArena).doubles
    #expect(arena.filter { $0 != 0 }.count == 1)
  }

  /// Checks that gradients are divided by the scale of their loss. If one is infinite, the step is skipped and the scale halved.
  @Test func scaledGradientsGiveTheSameSteps() throws {
    let backend = CPUBackend(precision: .float64)
    let plain = try layer(on: backend, scalingLoss: false)
    let scaled = try layer(on: backend, scalingLoss: true)
    let state = try #require(scaled.optimizer.lossScale)
    var skipped = 0.0
    for gradient in [3.0, -1, .infinity, 2, .nan, 5] {
      let scale = try backend.download(state).doubles[LossScale.next]
      if gradient.isFinite {
        backend.fill(plain.weight.gradient, with: gradient)
        try plain.optimizer.accumulate()
        try plain.optimizer.step(learningRate: 0.1)
      } else {
        skipped += 1
      }
      backend.fill(scaled.weight.gradient, with: gradient * scale)
      try scaled.optimizer.accumulate()
      try scaled.optimizer.step(learningRate: 0.1)
      #expect(try backend.download(plain.weight.value) == backend.download(scaled.weight.value))
      let next = try backend.download(state).doubles
      #expect(next[LossScale.next] == (gradient.isFinite ? scale : scale / 2))
      #expect(next[LossScale.skipped] == skipped)
    }
  }

  /// The loss scale of the step that closes a guard is known although later steps, which the host had enqueued, halve the scale.
  @Test func theScaleOfAStepAtFaultIsKept() throws {
    let (store, backend) = (ParameterStore(), CPUBackend(precision: .float64))
    _ = LinearLayer(store.root / "fc", inputs: 1, outputs: 1)
    try store.allocate(on: backend)
    let optimizer = try Optimizer(store, scalingLoss: true, guarding: 1)
    let (stepGuard, scale) = (try #require(optimizer.stepGuard), try #require(optimizer.lossScale))
    let metrics = try backend.tensor([3])
    func overflow(loss: Double) throws {
      try optimizer.beginPass()
      backend.fill(metrics, with: loss)
      backend.fill(store.gradientsArena, with: .infinity)
      try optimizer.accumulate(metrics)
      try optimizer.step(learningRate: 0.1)
    }
    try overflow(loss: 1)
    #expect(try stepGuard.lossScale() == 65536)
    for _ in 0..<4 { try overflow(loss: .nan) }
    #expect(try stepGuard.lossScale() == 32768)
    #expect(try backend.download(scale).doubles[LossScale.current] == 4096)
  }

  /// Makes two weights [1,1], called a and b, and their biases.
  private func pair(_ options: Optimizer.Options, frozen: [String] = []) throws -> (a: Parameter, b: Parameter, Optimizer) {
    let (store, backend) = (ParameterStore(), CPUBackend(precision: .float64))
    let (a, b) = (LinearLayer(store.root / "a", inputs: 1, outputs: 1), LinearLayer(store.root / "b", inputs: 1, outputs: 1))
    try store.freeze(frozen)
    try store.allocate(on: backend)
    for layer in [a, b] {
      backend.fill(layer.weight.value, with: 2)
      backend.fill(layer.weight.gradient, with: 3)
    }
    return (a.weight, b.weight, try Optimizer(store, options))
  }

  private func value(_ parameter: Parameter, _ optimizer: Optimizer) throws -> Double {
    try CPUBackend(precision: .float64).download(parameter.value).doubles[0]
  }

  @Test func layersHaveRatesOfTheirOwn() throws {
    let scales = [Optimizer.RateScale(prefix: "b", factor: 10)]
    let (a, b, optimizer) = try pair(Optimizer.Options(momentum: 0, weightDecay: 0, rateScales: scales))
    try optimizer.accumulate()
    try optimizer.step(learningRate: 0.01)
    #expect(abs(try value(a, optimizer) - (2 - 0.03)) < 1e-12)
    #expect(abs(try value(b, optimizer) - (2 - 0.3)) < 1e-12)
    #expect(throws: Failure.self) {
      try pair(Optimizer.Options(rateScales: [Optimizer.RateScale(prefix: "c", factor: 10)]))
    }
  }

  /// Checks that biases of batch normalization alone have the rate, with the decay that they have without it.
  @Test(arguments: Optimizer.Kind.allCases) func biasesHaveARateOfTheirOwn(_ kind: Optimizer.Kind) throws {
    func changes(_ scale: Double) throws -> [String: Double] {
      let (store, backend) = (ParameterStore(), CPUBackend(precision: .float64))
      let norms = ["bn1", "bn2"].map { BatchNormLayer(store.root / $0, channels: 1) }
      let head = LinearLayer(store.root / "fc", inputs: 1, outputs: 1)
      try store.allocate(on: backend)
      let parameters = norms.flatMap { [$0.scale, $0.bias] } + [head.weight, head.bias]
      for parameter in parameters { backend.fill(parameter.value, with: 2) }
      for parameter in parameters { backend.fill(parameter.gradient, with: 3) }
      let scales = [Optimizer.RateScale(prefix: "bn2", factor: 10)]
      let options = Optimizer.Options(kind, momentum: 0, weightDecay: 0.5, rateScales: scales, biasRateScale: scale)
      let optimizer = try Optimizer(store, options)
      try optimizer.accumulate()
      try optimizer.step(learningRate: 0.01)
      let values = try parameters.map { ($0.name, 2 - (try backend.download($0.value).doubles[0])) }
      return Dictionary(uniqueKeysWithValues: values)
    }
    let (plain, scaled) = (try changes(1), try changes(4))
    // Of the gradient of 3, and of the decay of 0.5·2 unless LARS leaves it out.
    let decay = kind == .lars ? 0.0 : 1
    let rule = kind == .adamW ? 1.0 : 3  // The first step of Adam has the length of the rate.
    for (name, rate) in [("bn1.bias", 0.01), ("bn2.bias", 0.1)] {
      #expect(abs(try #require(plain[name]) - rate * (rule + decay)) < 1e-7, "\(name)")
      #expect(abs(try #require(scaled[name]) - rate * (4 * rule + decay)) < 1e-7, "\(name)")
    }
    for name in ["bn1.weight", "bn2.weight", "fc.weight", "fc.bias"] { #expect(plain[name] == scaled[name], "\(name)") }
  }

  @Test func frozenLayersStayWhateverTheDecay() throws {
    let (a, b, optimizer) = try pair(Optimizer.Options(weightDecay: 0.5), frozen: ["a"])
    try optimizer.accumulate()
    try optimizer.step(learningRate: 0.1)
    #expect(try value(a, optimizer) == 2)
    #expect(abs(try value(b, optimizer) - (2 - 0.1 * (3 + 0.5 * 2))) < 1e-12)
    #expect(throws: Failure.self) { try pair(Optimizer.Options(), frozen: ["a", "b"]) }
    #expect(throws: Failure.self) { try pair(Optimizer.Options(), frozen: ["a.weight"]) }
  }

  /// The norm is ‖g‖ = √(3² + 3²).
  @Test func longGradientsAreShortened() throws {
    for (maximum, factor) in [(1.0, 1 / 18.0.squareRoot()), (5.0, 1)] {
      let (a, _, optimizer) = try pair(Optimizer.Options(momentum: 0, weightDecay: 0, maximumNorm: maximum))
      try optimizer.accumulate()
      try optimizer.step(learningRate: 1)
      #expect(abs(try value(a, optimizer) - (2 - 3 * factor)) < 1e-5)
    }
  }

  @Test func aStepFollowsTheMeanOfSeveralGradients() throws {
    let (a, b, optimizer) = try pair(Optimizer.Options(momentum: 0, weightDecay: 0, accumulates: true))
    let backend = CPUBackend(precision: .float64)
    for gradient in [3.0, 6, 0] {
      backend.fill(a.gradient, with: gradient)
      try optimizer.accumulate()
    }
    try optimizer.step(learningRate: 0.1)
    #expect(abs(try value(a, optimizer) - (2 - 0.1 * 3)) < 1e-12)
    #expect(abs(try value(b, optimizer) - (2 - 0.1 * 3)) < 1e-12)
    // A new sum of gradients begins.
    backend.fill(a.gradient, with: 1)
    try optimizer.accumulate()
    try optimizer.step(learningRate: 0.1)
    #expect(abs(try value(a, optimizer) - (2 - 0.3 - 0.1)) < 1e-12)
  }

  /// Checks λ = trust·‖w‖ / (‖g‖ + decay·‖w‖) for weights. Biases have neither this factor nor weight decay.
  /// Checks norms of gradients against those by which the weights were moved.
  @Test func normsAreThoseOfTheLastStep() throws {
    let backend = CPUBackend(precision: .float64)
    let store = ParameterStore()
    let (a, b) = (LinearLayer(store.root / "a", inputs: 3, outputs: 1), LinearLayer(store.root / "b", inputs: 1, outputs: 1))
    try store.allocate(on: backend)
    try store.freeze(["b"])
    let optimizer = try Optimizer(
      store, Optimizer.Options(momentum: 0, weightDecay: 0, maximumNorm: 1e-3, accumulates: true), scalingLoss: true)
    #expect(try optimizer.gradientNorms() == nil)
    let scale = try backend.download(try #require(optimizer.lossScale)).doubles[LossScale.next]
    for gradient in [[1.0, 2, 2], [5, 2, 10]] {
      try gradient.map { $0 * scale }.withUnsafeBytes { try store.backend.write($0, to: a.weight.gradient) }
      backend.fill(a.bias.gradient, with: -2 * scale)
      backend.fill(b.weight.gradient, with: 7 * scale)
      try optimizer.accumulate()
    }
    try optimizer.step(learningRate: 0.1)
    // The mean of the gradients is [3, 2, 6].
    let norms = try #require(try optimizer.gradientNorms())
    #expect(norms.map(\.parameter.name) == ["a.weight", "a.bias"])
    #expect(norms.map(\.norm) == [7, 2])
    try store.assign("b.weight", HostTensor([-4.0], shape: [1, 1]))
    #expect(try store.norms(of: store.weightsArena).map(\.norm)[2] == 4)
  }

  @Test func ratesAdaptToTheLayer() throws {
    let (store, backend) = (ParameterStore(), CPUBackend(precision: .float64))
    let layer = LinearLayer(store.root / "fc", inputs: 1, outputs: 1)
    try store.allocate(on: backend)
    for parameter in [layer.weight, layer.bias] {
      backend.fill(parameter.value, with: 2)
      backend.fill(parameter.gradient, with: 3)
    }
    let optimizer = try Optimizer(store, Optimizer.Options(.lars, momentum: 0, weightDecay: 0.5))
    try optimizer.accumulate()
    try optimizer.step(learningRate: 10)
    let rate = 10 * Optimizer.trust * 2 / (3 + 0.5 * 2)
    #expect(abs(try value(layer.weight, optimizer) - (2 - rate * (3 + 0.5 * 2))) < 1e-12)
    #expect(abs(try value(layer.bias, optimizer) - (2 - 10 * 3)) < 1e-12)
  }

  private func layer(on backend: CPUBackend, scalingLoss: Bool) throws -> (weight: Parameter, optimizer: Optimizer) {
    let store = ParameterStore()
    let layer = LinearLayer(store.root / "fc", inputs: 1, outputs: 1)
    try store.allocate(on: backend)
    try store.assign("fc.weight", HostTensor([2.0], shape: [1, 1]))
    return (layer.weight, try Optimizer(store, Optimizer.Options(momentum: 0.5, weightDecay: 0.1), scalingLoss: scalingLoss))
  }
}
