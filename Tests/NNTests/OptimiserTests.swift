import CPUBackend
import Compute
import NN
import Support
import Testing

@Suite struct OptimiserTests {
  @Test(arguments: [false, true]) func stepsFollowTheRule(nesterov: Bool) throws {
    let (store, backend) = (ParameterStore(), CPUBackend(precision: .float64))
    let layer = LinearLayer(store.root / "fc", inputs: 1, outputs: 1)
    try store.allocate(on: backend)
    try store.assign("fc.weight", HostTensor([2.0], shape: [1, 1]))
    let optimiser = try Optimiser(store, Optimiser.Options(momentum: 0.5, nesterov: nesterov, weightDecay: 0.1))
    var (w, v) = (2.0, 0.0)
    for rate in [0.1, 0.05, 0.01] {
      backend.fill(layer.weight.gradient, with: 3)
      try optimiser.accumulate()
      try optimiser.step(learningRate: rate)
      let g = 3 + 0.1 * w
      v = 0.5 * v + g
      w -= rate * (nesterov ? g + 0.5 * v : v)
      #expect(abs(try backend.download(layer.weight.value).doubles[0] - w) < 1e-12)
    }
    let velocity = try store.dictionary(of: optimiser.state[0].arena)
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
    let state = try #require(scaled.optimiser.lossScale)
    var skipped = 0.0
    for gradient in [3.0, -1, .infinity, 2, .nan, 5] {
      let scale = try backend.download(state).doubles[LossScale.next]
      if gradient.isFinite {
        backend.fill(plain.weight.gradient, with: gradient)
        try plain.optimiser.accumulate()
        try plain.optimiser.step(learningRate: 0.1)
      } else {
        skipped += 1
      }
      backend.fill(scaled.weight.gradient, with: gradient * scale)
      try scaled.optimiser.accumulate()
      try scaled.optimiser.step(learningRate: 0.1)
      #expect(try backend.download(plain.weight.value) == backend.download(scaled.weight.value))
      let next = try backend.download(state).doubles
      #expect(next[LossScale.next] == (gradient.isFinite ? scale : scale / 2))
      #expect(next[LossScale.skipped] == skipped)
    }
  }

  /// Makes two weights [1,1], called a and b, and their biases.
  private func pair(_ options: Optimiser.Options, frozen: [String] = []) throws -> (a: Parameter, b: Parameter, Optimiser) {
    let (store, backend) = (ParameterStore(), CPUBackend(precision: .float64))
    let (a, b) = (LinearLayer(store.root / "a", inputs: 1, outputs: 1), LinearLayer(store.root / "b", inputs: 1, outputs: 1))
    try store.freeze(frozen)
    try store.allocate(on: backend)
    for layer in [a, b] {
      backend.fill(layer.weight.value, with: 2)
      backend.fill(layer.weight.gradient, with: 3)
    }
    return (a.weight, b.weight, try Optimiser(store, options))
  }

  private func value(_ parameter: Parameter, _ optimiser: Optimiser) throws -> Double {
    try CPUBackend(precision: .float64).download(parameter.value).doubles[0]
  }

  @Test func layersHaveRatesOfTheirOwn() throws {
    let scales = [Optimiser.RateScale(prefix: "b", factor: 10)]
    let (a, b, optimiser) = try pair(Optimiser.Options(momentum: 0, weightDecay: 0, rateScales: scales))
    try optimiser.accumulate()
    try optimiser.step(learningRate: 0.01)
    #expect(abs(try value(a, optimiser) - (2 - 0.03)) < 1e-12)
    #expect(abs(try value(b, optimiser) - (2 - 0.3)) < 1e-12)
    #expect(throws: Failure.self) {
      try pair(Optimiser.Options(rateScales: [Optimiser.RateScale(prefix: "c", factor: 10)]))
    }
  }

  @Test func frozenLayersStayWhateverTheDecay() throws {
    let (a, b, optimiser) = try pair(Optimiser.Options(weightDecay: 0.5), frozen: ["a"])
    try optimiser.accumulate()
    try optimiser.step(learningRate: 0.1)
    #expect(try value(a, optimiser) == 2)
    #expect(abs(try value(b, optimiser) - (2 - 0.1 * (3 + 0.5 * 2))) < 1e-12)
    #expect(throws: Failure.self) { try pair(Optimiser.Options(), frozen: ["a", "b"]) }
    #expect(throws: Failure.self) { try pair(Optimiser.Options(), frozen: ["a.weight"]) }
  }

  /// The norm is ‖g‖ = √(3² + 3²).
  @Test func longGradientsAreShortened() throws {
    for (maximum, factor) in [(1.0, 1 / 18.0.squareRoot()), (5.0, 1)] {
      let (a, _, optimiser) = try pair(Optimiser.Options(momentum: 0, weightDecay: 0, maximumNorm: maximum))
      try optimiser.accumulate()
      try optimiser.step(learningRate: 1)
      #expect(abs(try value(a, optimiser) - (2 - 3 * factor)) < 1e-5)
    }
  }

  @Test func aStepFollowsTheMeanOfSeveralGradients() throws {
    let (a, b, optimiser) = try pair(Optimiser.Options(momentum: 0, weightDecay: 0, accumulates: true))
    let backend = CPUBackend(precision: .float64)
    for gradient in [3.0, 6, 0] {
      backend.fill(a.gradient, with: gradient)
      try optimiser.accumulate()
    }
    try optimiser.step(learningRate: 0.1)
    #expect(abs(try value(a, optimiser) - (2 - 0.1 * 3)) < 1e-12)
    #expect(abs(try value(b, optimiser) - (2 - 0.1 * 3)) < 1e-12)
    // A new sum of gradients begins.
    backend.fill(a.gradient, with: 1)
    try optimiser.accumulate()
    try optimiser.step(learningRate: 0.1)
    #expect(abs(try value(a, optimiser) - (2 - 0.3 - 0.1)) < 1e-12)
  }

  /// Checks λ = trust·‖w‖ / (‖g‖ + decay·‖w‖) for weights. Biases have neither this factor nor weight decay.
  @Test func ratesAdaptToTheLayer() throws {
    let (store, backend) = (ParameterStore(), CPUBackend(precision: .float64))
    let layer = LinearLayer(store.root / "fc", inputs: 1, outputs: 1)
    try store.allocate(on: backend)
    for parameter in [layer.weight, layer.bias] {
      backend.fill(parameter.value, with: 2)
      backend.fill(parameter.gradient, with: 3)
    }
    let optimiser = try Optimiser(store, Optimiser.Options(.lars, momentum: 0, weightDecay: 0.5))
    try optimiser.accumulate()
    try optimiser.step(learningRate: 10)
    let rate = 10 * Optimiser.trust * 2 / (3 + 0.5 * 2)
    #expect(abs(try value(layer.weight, optimiser) - (2 - rate * (3 + 0.5 * 2))) < 1e-12)
    #expect(abs(try value(layer.bias, optimiser) - (2 - 10 * 3)) < 1e-12)
  }

  private func layer(on backend: CPUBackend, scalingLoss: Bool) throws -> (weight: Parameter, optimiser: Optimiser) {
    let store = ParameterStore()
    let layer = LinearLayer(store.root / "fc", inputs: 1, outputs: 1)
    try store.allocate(on: backend)
    try store.assign("fc.weight", HostTensor([2.0], shape: [1, 1]))
    return (layer.weight, try Optimiser(store, Optimiser.Options(momentum: 0.5, weightDecay: 0.1), scalingLoss: scalingLoss))
  }
}
