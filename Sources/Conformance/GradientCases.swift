import Compute
import Support

extension Conformance {
  /// Checks of gradients: by ⟨Ax, y⟩ = ⟨x, Aᵀy⟩ on any backend, and by finite differences on a float64 backend.
  package static var gradientCases: [GradientCase] {
    convolutionAdjoints + poolingAdjoints + linearAdjoints + elementwiseAdjoints + batchNormDifferences + lossDifferences
  }

  private static var convolutionAdjoints: [GradientCase] {
    let geometries = [
      Conv2D(input: [2, 7, 7, 3], filter: [3, 3, 3, 10], padding: 1),
      Conv2D(input: [2, 17, 14, 16], filter: [3, 3, 16, 17], stride: 2, padding: 1),
      Conv2D(input: [3, 14, 14, 17], filter: [1, 1, 17, 33], stride: 2),
      Conv2D(input: [1, 33, 33, 3], filter: [7, 7, 3, 16], stride: 2, padding: 3),
      Conv2D(input: [2, 10, 10, 4], filter: [5, 5, 4, 8], stride: 3),
      Conv2D(input: [2, 8, 8, 64], filter: [3, 3, 64, 64], padding: 1),
      Conv2D(input: [2, 9, 7, 24], filter: [3, 3, 6, 32], stride: 2, padding: 1, groups: 4),
    ]
    return geometries.flatMap { g in
      let filter = Operand.input("filter", g.filter).contents(seed: 1)
      let image = Operand.input("x", g.input).contents(seed: 1)
      return [
        GradientCase.adjoint(
          "convolutionInputGradient \(g.description)", g.input, g.output, terms: g.r * g.s * max(g.groupC, g.groupK)
        ) {
          let (filter, y, dx) = (try $0.upload(filter), try $0.tensor(g.output), try $0.tensor(g.input))
          try $0.convolution($1, filter: filter, g, into: y)
          try $0.convolutionInputGradient($2, filter: filter, g, accumulate: false, into: dx)
          return (y, dx)
        },
        GradientCase.adjoint("convolutionFilterGradient \(g.description)", g.filter, g.output, terms: g.n * g.p * g.q) {
          let (x, y, dw) = (try $0.upload(image), try $0.tensor(g.output), try $0.tensor(g.filter))
          try $0.convolution(x, filter: $1, g, into: y)
          try $0.convolutionFilterGradient(x, $2, g, into: dw)
          return (y, dw)
        },
      ]
    }
  }

  private static var poolingAdjoints: [GradientCase] {
    let geometries = [
      Pool2D(input: [2, 17, 14, 16], window: 3, stride: 2, padding: 1), Pool2D(input: [3, 7, 7, 17], window: 2, stride: 2),
    ]
    let average: Shape = [3, 7, 5, 17]
    return geometries.map { g in
      GradientCase.adjoint("maxPoolGradient \(g.description)", g.input, g.output, terms: g.window * g.window) {
        let (y, positions) = (try $0.tensor(g.output), try $0.tensor(g.output, .uint8))
        let dx = try $0.tensor(g.input)
        try $0.maxPool($1, g, into: y, positions: positions)
        try $0.maxPoolGradient($2, positions: positions, g, into: dx)
        return (y, dx)
      }
    } + [
      GradientCase.adjoint("globalAveragePoolGradient \(average)", average, [3, 17], terms: 35) {
        let (y, dx) = (try $0.tensor([3, 17]), try $0.tensor(average))
        try $0.globalAveragePool($1, into: y)
        try $0.globalAveragePoolGradient($2, into: dx)
        return (y, dx)
      }
    ]
  }

  private static var linearAdjoints: [GradientCase] {
    let factor = Operand.input("b", [33, 10]).contents(seed: 1)
    return [
      GradientCase.adjoint("multiply, first factor", [17, 33], [17, 10], terms: 33) {
        let (b, c, da) = (try $0.upload(factor), try $0.tensor([17, 10]), try $0.tensor([17, 33]))
        try $0.multiply($1, transposed: false, b, transposed: false, into: c)
        try $0.multiply($2, transposed: false, b, transposed: true, into: da)
        return (c, da)
      },
      GradientCase.adjoint("multiply, second factor", [10, 17], [33, 17], terms: 33) {
        let (a, c, db) = (try $0.upload(factor), try $0.tensor([33, 17]), try $0.tensor([10, 17]))
        try $0.multiply(a, transposed: false, $1, transposed: false, into: c)
        try $0.multiply(a, transposed: true, $2, transposed: false, into: db)
        return (c, db)
      },
      GradientCase.adjoint("sumRows as the gradient of addBias", [17], [33, 17], terms: 33) {
        let (y, dbias) = (try $0.tensor([33, 17]), try $0.tensor([17]))
        try $0.fill(y, with: 0)
        try $0.addBias($1, to: y)
        try $0.sumRows($2, into: dbias)
        return (y, dbias)
      },
    ]
  }

  private static var elementwiseAdjoints: [GradientCase] {
    let shortcuts: [(Shape, Shape, Int)] = [
      ([2, 7, 5, 3], [2, 4, 3, 10], 2), ([1, 8, 8, 16], [1, 4, 4, 33], 2), ([2, 3, 3, 5], [2, 3, 3, 5], 1),
    ]
    return shortcuts.map { input, output, stride in
      GradientCase.adjoint("padShortcutGradient \(input) → \(output)", input, output, terms: 1) {
        let (y, dx) = (try $0.tensor(output), try $0.tensor(input))
        try $0.padShortcut($1, stride: stride, into: y)
        try $0.padShortcutGradient($2, stride: stride, accumulate: false, into: dx)
        return (y, dx)
      }
    } + [
      GradientCase.adjoint("reluGradient", [33, 17], [33, 17], terms: 1) {
        let (y, dx) = (try $0.tensor([33, 17]), try $0.tensor([33, 17]))
        try $0.relu($1, into: y)
        try $0.reluGradient($2, y: y, into: dx)
        return (y, dx)
      }
    ]
  }

  private static var batchNormDifferences: [GradientCase] {
    let shape: Shape = [2, 3, 3, 3]
    return [(false, false), (true, false), (false, true), (true, true)].map { residual, relu in
      let variables: [Operand] = [
        .input("x", shape), .input("scale", [3], .uniform(0.5, 1.5)), .input("bias", [3]), .input("residual", shape),
      ]
      /// Computes the statistics and the output.
      @Sendable func forward(_ backend: any Backend, _ v: [Tensor]) throws -> (channels: BatchNormChannels, y: Tensor) {
        let (mean, inverse, y) = (try backend.tensor([3]), try backend.tensor([3]), try backend.tensor(shape))
        let (runningMean, runningVariance) = (try backend.tensor([3]), try backend.tensor([3]))
        try backend.fill(runningMean, with: 0)
        try backend.fill(runningVariance, with: 1)
        try backend.batchNormStatistics(
          v[0],
          BatchNormStatistics(
            epsilon: 1e-5, momentum: 0.1, mean: mean, inverseDeviation: inverse, runningMean: runningMean,
            runningVariance: runningVariance))
        let channels = BatchNormChannels(mean: mean, inverseDeviation: inverse, scale: v[1], bias: v[2])
        try backend.batchNorm(v[0], channels, residual: residual ? v[3] : nil, relu: relu, into: y)
        return (channels, y)
      }
      let tags = (residual ? " with residual" : "") + (relu ? " and relu" : "")
      let function = Differentiable(
        variables: residual ? variables : variables.dropLast(), output: shape, value: { try forward($0, $1).y },
        gradient: { backend, v, dy in
          let (channels, y) = try forward(backend, v)
          let results = try variables.map { try backend.tensor($0.shape) }
          try backend.batchNormGradient(
            dy, x: v[0], mask: !relu ? .none : residual ? .result(y) : .recomputed, channels, into: results[0],
            dscale: results[1], dbias: results[2],
            dresidual: residual ? results[3] : nil)
          return residual ? results : results.dropLast()
        })
      return GradientCase.differences("batchNormGradient\(tags)", function)
    }
  }

  private static var lossDifferences: [GradientCase] {
    [
      (5, 10, 0, false, false), (5, 10, 0.1, false, false), (3, 2, 0.1, false, false), (2, 33, 0, false, false),
      (5, 10, 0.1, true, false), (5, 10, 0.1, false, true), (4, 6, 0.1, true, true),
    ].map { n, k, smoothing, isMixed, isWeighted in
      let labels = isMixed ? Values.mixedLabels(below: k) : Values.indices(below: k)
      @Sendable func run(_ backend: any Backend, _ logits: Tensor) throws -> (metrics: Tensor, gradient: Tensor) {
        var random = Philox(seed: 1, stream: 1)
        let (metrics, gradient) = (try backend.tensor([3]), try backend.tensor([n, k]))
        try backend.fill(metrics, with: 0)
        let labels = try backend.upload(labels.make(isMixed ? [n, BatchPlan.labelColumns] : [n], &random))
        guard isWeighted else {
          try backend.crossEntropy(
            logits, labels: labels, smoothing: smoothing, metrics: metrics, gradient: gradient, lossScale: nil)
          return (metrics, gradient)
        }
        let weights = try backend.upload(Values.uniform(0.1, 4).make([k], &random))
        let totals = try backend.tensor([2])
        try backend.sumClassWeights(weights, labels: labels, into: totals)
        try backend.weightedCrossEntropy(
          logits, labels: labels, weights: weights, totals: totals, smoothing: smoothing, metrics: metrics, gradient: gradient,
          lossScale: nil)
        return (metrics, gradient)
      }
      let function = Differentiable(
        variables: [.input("logits", [n, k])], output: [3], weights: [1 / Double(n), 0, 0],
        value: { try run($0, $1[0]).metrics }, gradient: { backend, v, _ in [try run(backend, v[0]).gradient] })
      let name = isWeighted ? "weightedCrossEntropy" : "crossEntropy"
      return GradientCase.differences("\(name) [\(n), \(k)], smoothing \(smoothing)\(isMixed ? ", mixed" : "")", function)
    }
  }
}
