import CPUBackend
import Compute
import Conformance
import Formats
import Foundation
import Testing

/// The tensors of one fixture on a backend, by configuration and name.
private struct Fixture {
  let backend: CPUBackend
  private let tensors: [String: HostTensor]

  init(_ name: String, _ precision: DataType) throws {
    backend = CPUBackend(precision: precision)
    let url = try #require(Bundle.module.url(forResource: name, withExtension: "safetensors", subdirectory: "Fixtures"))
    tensors = try Safetensors.read(url.path).tensors
  }

  var configs: [Int] { Set(tensors.keys.compactMap { $0.split(separator: ".").first.flatMap { Int($0) } }).sorted() }

  func host(_ config: Int, _ name: String) throws -> HostTensor { try #require(tensors["\(config).\(name)"]) }
  func tensor(_ config: Int, _ name: String) throws -> Tensor { try backend.upload(host(config, name)) }
  func option(_ config: Int, _ name: String) throws -> Double { try #require(try host(config, name).doubles.first) }
  func integer(_ config: Int, _ name: String) throws -> Int { Int(try option(config, name)) }

  /// Makes a tensor for a result, with the shape of the expected one.
  func result(_ config: Int, _ name: String) throws -> Tensor {
    let expected = try host(config, name)
    return try backend.tensor(expected.shape, expected.type == .float64 ? nil : expected.type)
  }

  /// Expects the result within (8 + √terms) roundoffs of PyTorch's, in the backend's precision. Half of the bound is for
  /// our sum, half for PyTorch's own sum, which is in float64.
  func expect(_ result: Tensor, is name: String, of config: Int, terms: Int = 1) throws {
    let roundoff = backend.scalar == .float64 ? 0x1p-53 : 0x1p-24
    let bound = Bound(value: (8 + Double(terms).squareRoot()) * roundoff, reason: "a sum of \(terms) terms")
    let comparison = Comparison(name, try backend.download(result), against: try host(config, name), bound)
    #expect(comparison.complaint == nil, "configuration \(config) in \(backend.scalar)")
  }
}

/// Checks the CPU reference against PyTorch. Scripts/make-fixtures.py writes the fixtures.
@Suite struct PyTorchTests {
  static let precisions = [DataType.float32, .float64]

  @Test(arguments: precisions) func convolution(precision: DataType) throws {
    let fixture = try Fixture("convolution", precision)
    for config in fixture.configs {
      let (x, filter) = (try fixture.tensor(config, "x"), try fixture.tensor(config, "filter"))
      let g = Conv2D(
        input: x.shape, filter: filter.shape, stride: try fixture.integer(config, "stride"),
        padding: try fixture.integer(config, "padding"))
      let (y, dx, dw) = (
        try fixture.result(config, "y"), try fixture.result(config, "dx"), try fixture.result(config, "dw")
      )
      let dy = try fixture.tensor(config, "dy")
      fixture.backend.convolution(x, filter: filter, g, into: y)
      fixture.backend.convolutionInputGradient(dy, filter: filter, g, accumulate: false, into: dx)
      fixture.backend.convolutionFilterGradient(x, dy, g, into: dw)
      try fixture.expect(y, is: "y", of: config, terms: g.r * g.s * g.c)
      try fixture.expect(dx, is: "dx", of: config, terms: g.r * g.s * g.k)
      try fixture.expect(dw, is: "dw", of: config, terms: g.n * g.p * g.q)
    }
  }

  /// Checks two training steps, with residual and ReLU in the second configuration, then inference with the running statistics.
  @Test(arguments: precisions) func batchNorm(precision: DataType) throws {
    let fixture = try Fixture("batch_norm", precision)
    let backend = fixture.backend
    for config in fixture.configs {
      let fused = config == 1
      let (scale, bias) = (try fixture.tensor(config, "scale"), try fixture.tensor(config, "bias"))
      let (mean, inverse) = (try backend.tensor(scale.shape), try backend.tensor(scale.shape))
      let (runningMean, runningVariance) = (try backend.tensor(scale.shape), try backend.tensor(scale.shape))
      backend.fill(runningMean, with: 0)
      backend.fill(runningVariance, with: 1)
      for step in 0..<2 {
        let (x, dy) = (try fixture.tensor(config, "x\(step)"), try fixture.tensor(config, "dy\(step)"))
        let residual = fused ? try fixture.tensor(config, "residual\(step)") : nil
        backend.batchNormStatistics(
          x,
          BatchNormStatistics(
            epsilon: 1e-5, momentum: 0.1, mean: mean, inverseDeviation: inverse, runningMean: runningMean,
            runningVariance: runningVariance))
        let channels = BatchNormChannels(mean: mean, inverseDeviation: inverse, scale: scale, bias: bias)
        let (y, dx, dresidual) = (try backend.tensor(x.shape), try backend.tensor(x.shape), try backend.tensor(x.shape))
        let (dscale, dbias) = (try backend.tensor(scale.shape), try backend.tensor(scale.shape))
        backend.batchNorm(x, channels, residual: residual, relu: fused, into: y)
        backend.batchNormGradient(
          dy, x: x, mask: fused ? .result(y) : .none, channels, into: dx, dscale: dscale, dbias: dbias,
          dresidual: fused ? dresidual : nil)
        let m = x.count / scale.count
        try fixture.expect(y, is: "y\(step)", of: config, terms: m)
        try fixture.expect(dx, is: "dx\(step)", of: config, terms: m)
        try fixture.expect(dscale, is: "dscale\(step)", of: config, terms: m)
        try fixture.expect(dbias, is: "dbias\(step)", of: config, terms: m)
        try fixture.expect(runningMean, is: "runningMean\(step)", of: config, terms: m)
        try fixture.expect(runningVariance, is: "runningVariance\(step)", of: config, terms: m)
        if fused { try fixture.expect(dresidual, is: "dresidual\(step)", of: config) }
      }
      let (x, y) = (try fixture.tensor(config, "x1"), try fixture.result(config, "evaluated"))
      backend.inverseDeviation(ofVariance: runningVariance, epsilon: 1e-5, into: inverse)
      let channels = BatchNormChannels(mean: runningMean, inverseDeviation: inverse, scale: scale, bias: bias)
      backend.batchNorm(x, channels, residual: nil, relu: false, into: y)
      try fixture.expect(y, is: "evaluated", of: config, terms: x.count / scale.count)
    }
  }

  @Test(arguments: precisions) func maxPool(precision: DataType) throws {
    let fixture = try Fixture("max_pool", precision)
    for config in fixture.configs {
      let x = try fixture.tensor(config, "x")
      let g = Pool2D(
        input: x.shape, window: try fixture.integer(config, "window"), stride: try fixture.integer(config, "stride"),
        padding: try fixture.integer(config, "padding"))
      let (y, positions) = (try fixture.result(config, "y"), try fixture.result(config, "positions"))
      let dx = try fixture.result(config, "dx")
      fixture.backend.maxPool(x, g, into: y, positions: positions)
      fixture.backend.maxPoolGradient(try fixture.tensor(config, "dy"), positions: positions, g, into: dx)
      try fixture.expect(y, is: "y", of: config)
      try fixture.expect(positions, is: "positions", of: config)
      try fixture.expect(dx, is: "dx", of: config, terms: 9)
    }
  }

  @Test(arguments: precisions) func globalAveragePool(precision: DataType) throws {
    let fixture = try Fixture("average_pool", precision)
    let (y, dx) = (try fixture.result(0, "y"), try fixture.result(0, "dx"))
    fixture.backend.globalAveragePool(try fixture.tensor(0, "x"), into: y)
    fixture.backend.globalAveragePoolGradient(try fixture.tensor(0, "dy"), into: dx)
    try fixture.expect(y, is: "y", of: 0, terms: 28)
    try fixture.expect(dx, is: "dx", of: 0)
  }

  @Test(arguments: precisions) func padShortcut(precision: DataType) throws {
    let fixture = try Fixture("pad_shortcut", precision)
    for config in fixture.configs {
      let stride = try fixture.integer(config, "stride")
      let (y, dx) = (try fixture.result(config, "y"), try fixture.result(config, "dx"))
      fixture.backend.padShortcut(try fixture.tensor(config, "x"), stride: stride, into: y)
      fixture.backend.padShortcutGradient(try fixture.tensor(config, "dy"), stride: stride, accumulate: false, into: dx)
      try fixture.expect(y, is: "y", of: config)
      try fixture.expect(dx, is: "dx", of: config)
    }
  }

  @Test(arguments: precisions) func linear(precision: DataType) throws {
    let fixture = try Fixture("linear", precision)
    let (x, weight, dy) = (try fixture.tensor(0, "x"), try fixture.tensor(0, "weight"), try fixture.tensor(0, "dy"))
    let (y, dx) = (try fixture.result(0, "y"), try fixture.result(0, "dx"))
    let (dweight, dbias) = (try fixture.result(0, "dweight"), try fixture.result(0, "dbias"))
    fixture.backend.multiply(x, transposed: false, weight, transposed: true, into: y)
    fixture.backend.addBias(try fixture.tensor(0, "bias"), to: y)
    fixture.backend.multiply(dy, transposed: false, weight, transposed: false, into: dx)
    fixture.backend.multiply(dy, transposed: true, x, transposed: false, into: dweight)
    fixture.backend.sumRows(dy, into: dbias)
    try fixture.expect(y, is: "y", of: 0, terms: 8)
    try fixture.expect(dx, is: "dx", of: 0, terms: 3)
    try fixture.expect(dweight, is: "dweight", of: 0, terms: 5)
    try fixture.expect(dbias, is: "dbias", of: 0, terms: 5)
  }

  @Test(arguments: precisions) func crossEntropy(precision: DataType) throws {
    let fixture = try Fixture("cross_entropy", precision)
    for config in fixture.configs {
      let (logits, labels) = (try fixture.tensor(config, "logits"), try fixture.tensor(config, "labels"))
      let (metrics, gradient) = (try fixture.result(config, "metrics"), try fixture.result(config, "gradient"))
      let probabilities = try fixture.result(config, "probabilities")
      fixture.backend.fill(metrics, with: 0)
      try fixture.backend.crossEntropy(
        logits, labels: labels, smoothing: try fixture.option(config, "smoothing"), metrics: metrics, gradient: gradient,
        lossScale: nil)
      fixture.backend.softmax(logits, into: probabilities)
      try fixture.expect(metrics, is: "metrics", of: config, terms: logits.count)
      try fixture.expect(gradient, is: "gradient", of: config, terms: logits.shape[1])
      try fixture.expect(probabilities, is: "probabilities", of: config, terms: logits.shape[1])
    }
  }

  @Test(arguments: precisions) func weightedCrossEntropy(precision: DataType) throws {
    let fixture = try Fixture("weighted_cross_entropy", precision)
    for config in fixture.configs {
      let (logits, labels) = (try fixture.tensor(config, "logits"), try fixture.tensor(config, "labels"))
      let (metrics, gradient) = (try fixture.result(config, "metrics"), try fixture.result(config, "gradient"))
      let (weights, totals) = (try fixture.tensor(config, "weights"), try fixture.backend.tensor([2]))
      fixture.backend.fill(metrics, with: 0)
      fixture.backend.sumClassWeights(weights, labels: labels, into: totals)
      fixture.backend.weightedCrossEntropy(
        logits, labels: labels, weights: weights, totals: totals, smoothing: try fixture.option(config, "smoothing"),
        metrics: metrics, gradient: gradient, lossScale: nil)
      try fixture.expect(metrics, is: "metrics", of: config, terms: logits.count)
      try fixture.expect(gradient, is: "gradient", of: config, terms: logits.shape[1])
    }
  }

  @Test(arguments: precisions) func gatherBatch(precision: DataType) throws {
    let fixture = try Fixture("gather_batch", precision)
    for config in fixture.configs {
      let (x, labels) = (try fixture.result(config, "x"), try fixture.result(config, "expected"))
      fixture.backend.gatherBatch(
        images: try fixture.tensor(config, "images"), labels: try fixture.tensor(config, "labels"),
        plan: try fixture.tensor(config, "plan"), channelMap: try fixture.tensor(config, "map"), into: x, batchLabels: labels)
      try fixture.expect(x, is: "x", of: config, terms: 4)
      #expect(try fixture.backend.download(labels) == fixture.host(config, "expected"))
    }
  }

  @Test(arguments: precisions) func sgd(precision: DataType) throws {
    let fixture = try Fixture("sgd", precision)
    for config in fixture.configs {
      let (weights, gradients) = (try fixture.tensor(config, "weights"), try fixture.host(config, "gradients").doubles)
      let velocity = try fixture.backend.tensor(weights.shape)
      fixture.backend.fill(velocity, with: 0)
      let rule = SGDRule(
        learningRate: try fixture.option(config, "rate"), momentum: try fixture.option(config, "momentum"),
        weightDecay: try fixture.option(config, "decay"), nesterov: try fixture.option(config, "nesterov") == 1)
      for step in 0..<5 {
        let gradient = Array(gradients[step * weights.count..<(step + 1) * weights.count])
        let uploaded = try fixture.backend.upload(HostTensor(gradient, shape: weights.shape))
        fixture.backend.sgdStep(weights, gradients: uploaded, velocity: velocity, rule, GradientUse())
      }
      try fixture.expect(weights, is: "result", of: config, terms: 30)
    }
  }

  /// Clips the gradients to a norm, which some of them exceed.
  @Test(arguments: precisions) func adamW(precision: DataType) throws {
    let fixture = try Fixture("adamw", precision)
    let backend = fixture.backend
    for config in fixture.configs {
      let (weights, gradients) = (try fixture.tensor(config, "weights"), try fixture.host(config, "gradients").doubles)
      let (mean, square) = (try backend.tensor(weights.shape), try backend.tensor(weights.shape))
      for state in [mean, square] { backend.fill(state, with: 0) }
      let (rate, decay) = (try fixture.option(config, "rate"), try fixture.option(config, "decay"))
      let norms = try backend.tensor([1])
      for step in 0..<5 {
        let gradient = Array(gradients[step * weights.count..<(step + 1) * weights.count])
        let uploaded = try backend.upload(HostTensor(gradient, shape: weights.shape))
        backend.squaredNorm(uploaded, into: norms, at: 0)
        backend.adamWStep(
          weights, gradients: uploaded, mean: mean, square: square,
          AdamWRule(learningRate: rate, weightDecay: decay, step: step + 1),
          GradientUse(maximumNorm: try fixture.option(config, "maximum"), norms: norms))
      }
      try fixture.expect(weights, is: "result", of: config, terms: 30)
    }
  }
}
