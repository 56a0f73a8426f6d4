import CPUBackend
import Compute
import NN
import Testing

@Suite struct SGDTests {
  @Test(arguments: [false, true]) func stepsFollowTheRule(nesterov: Bool) throws {
    let (store, backend) = (ParameterStore(), CPUBackend(precision: .float64))
    let layer = LinearLayer(store.root / "fc", inputs: 1, outputs: 1)
    try store.allocate(on: backend)
    try store.assign("fc.weight", HostTensor([2.0], shape: [1, 1]))
    let optimiser = try SGD(store, momentum: 0.5, weightDecay: 0.1, nesterov: nesterov)
    var (w, v) = (2.0, 0.0)
    for rate in [0.1, 0.05, 0.01] {
      backend.fill(layer.weight.gradient, with: 3)
      try optimiser.step(learningRate: rate)
      let g = 3 + 0.1 * w
      v = 0.5 * v + g
      w -= rate * (nesterov ? g + 0.5 * v : v)
      #expect(abs(try backend.download(layer.weight.value).doubles[0] - w) < 1e-12)
    }
    let velocity = try store.dictionary(of: optimiser.velocityArena)
    #expect(velocity.map(\.name) == ["fc.weight", "fc.bias"])
    #expect(abs(velocity[0].tensor.doubles[0] - v) < 1e-12)
    // The padding between parameters stays zero.
    let arena = try backend.download(store.weightsArena).doubles
    #expect(arena.filter { $0 != 0 }.count == 1)
  }

  /// Gradients are divided by the scale that the loss had; where one is an infinity, the step is left out and the scale halved.
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
        try plain.optimiser.step(learningRate: 0.1)
      } else {
        skipped += 1
      }
      backend.fill(scaled.weight.gradient, with: gradient * scale)
      try scaled.optimiser.step(learningRate: 0.1)
      #expect(try backend.download(plain.weight.value) == backend.download(scaled.weight.value))
      let next = try backend.download(state).doubles
      #expect(next[LossScale.next] == (gradient.isFinite ? scale : scale / 2))
      #expect(next[LossScale.skipped] == skipped)
    }
  }

  private func layer(on backend: CPUBackend, scalingLoss: Bool) throws -> (weight: Parameter, optimiser: SGD) {
    let store = ParameterStore()
    let layer = LinearLayer(store.root / "fc", inputs: 1, outputs: 1)
    try store.allocate(on: backend)
    try store.assign("fc.weight", HostTensor([2.0], shape: [1, 1]))
    return (layer.weight, try SGD(store, momentum: 0.5, weightDecay: 0.1, scalingLoss: scalingLoss))
  }
}
