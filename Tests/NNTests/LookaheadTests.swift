import CPUBackend
import Compute
import NN
import Testing

@Suite struct LookaheadTests {
  /// Follows the algorithm of Zhang et al. (2019) with SGD with momentum, whose gradient is 3 + w.
  @Test func weightsGoHalfOfTheWayBack() throws {
    let (store, backend) = (ParameterStore(), CPUBackend(precision: .float64))
    let layer = LinearLayer(store.root / "fc", inputs: 1, outputs: 1)
    try store.allocate(on: backend)
    try store.assign("fc.weight", HostTensor([2.0], shape: [1, 1]))
    let optimizer = try Optimizer(store, Optimizer.Options(momentum: 0.5, weightDecay: 1))
    let lookahead = try Lookahead(store, every: 3)
    func weight() throws -> Double { try backend.download(layer.weight.value).doubles[0] }
    var (slow, fast, velocity) = (2.0, 2.0, 0.0)
    for step in 1...7 {
      backend.fill(layer.weight.gradient, with: 3)
      try optimizer.accumulate()
      try optimizer.step(learningRate: 0.1)
      try lookahead.follow(step: optimizer.steps)
      velocity = 0.5 * velocity + 3 + fast
      fast -= 0.1 * velocity
      if step % 3 == 0 {
        slow += 0.5 * (fast - slow)
        fast = slow
      }
      #expect(abs(try weight() - fast) < 1e-12, "step \(step)")
    }
    #expect(abs(try store.dictionary(of: lookahead.slow)[0].tensor.doubles[0] - slow) < 1e-12)
    #expect(fast != slow)
    try lookahead.move()
    #expect(abs(try weight() - (slow + fast) / 2) < 1e-12)
    // The slow weights are where the trained ones are, so a second move changes nothing.
    let moved = try weight()
    try lookahead.move()
    #expect(try weight() == moved)
  }
}
