import Compute

extension Catalog {
  static var convolution: [Case] {
    // The grid has the most phases of input gradients. A third of it is enough to check input gradients that are added.
    distinct(grid + layers + special).enumerated().flatMap { index, g in
      convolutionPasses(g).filter { index >= grid.count || index % 3 == 0 || $0.convolution?.accumulates != true }
    }
      + distinct(layers + special).enumerated().map { index, g in
        foldedConvolution(g, residual: index % 2 == 0, relu: index % 3 != 0)
      } + distinct(layers + special).filter(hasSteadyStatistics).map { convolutionWithStatistics($0) }
  }

  /// Returns whether the statistics are well-conditioned. With few values, or if all channels are multiples of a few, a mean or a
  /// variance may nearly cancel; it then errs by far more than a sum.
  private static func hasSteadyStatistics(_ g: Conv2D) -> Bool {
    g.n * g.p * g.q >= 32 && g.groupK >= 8 && g.r * g.s * g.groupC >= 8
  }

  /// Returns a case of inference: the filter is prepared, and the epilogue applies scale, bias, residual and ReLU.
  static func foldedConvolution(_ g: Conv2D, residual: Bool, relu: Bool, size: Case.Size = .small) -> Case {
    let tags = ["folded"] + (residual ? ["residual"] : []) + (relu ? ["relu"] : [])
    return Case(
      "convolution", ([g.description] + tags).joined(separator: ", "), size: size, flops: 2 * g.macs,
      bound: .convolution(ConvolutionWork(.inference, g), winograd: g.r == 3 && g.s == 3 && g.stride == 1),
      convolution: ConvolutionWork(.inference, g),
      [
        .input("x", g.input, .factors(of: g.output)), .input("filter", g.filter, .factors(of: g.output)),
        .input("scale", [g.k], .uniform(0.5, 1.5)), .input("bias", [g.k]), .output("y", g.output),
      ] + (residual ? [.input("residual", g.output)] : [])
    ) { backend, tensors in
      let storage = tensors["x"].type
      let prepared = try backend.tensor([backend.preparedFilterCount(g, storage)])
      try backend.prepareFilter(tensors["filter"], g, storage, into: prepared)
      try backend.convolution(
        tensors["x"], prepared: prepared, g,
        ConvolutionEpilogue(
          scale: tensors["scale"], bias: tensors["bias"], residual: residual ? tensors["residual"] : nil, relu: relu),
        into: tensors["y"])
    }
  }

  /// Returns all three passes of one geometry, with an input gradient that overwrites and one that adds.
  static func convolutionPasses(_ g: Conv2D, size: Case.Size = .small) -> [Case] {
    [
      ConvolutionWork(.forward, g), ConvolutionWork(.inputGradient, g), ConvolutionWork(.inputGradient, g, accumulates: true),
      ConvolutionWork(.filterGradient, g),
    ].map { convolution($0, size: size) }
  }

  private static func convolution(_ work: ConvolutionWork, size: Case.Size) -> Case {
    let g = work.geometry
    let bound = Bound.convolution(work, winograd: g.r == 3 && g.s == 3 && g.stride == 1)
    switch work.pass {
    case .forward:
      return Case(
        "convolution", g.description, size: size, flops: 2 * g.macs, bound: bound, convolution: work,
        [
          .input("x", g.input, .factors(of: g.output)), .input("filter", g.filter, .factors(of: g.output)),
          .output("y", g.output),
        ]
      ) { try $0.convolution($1["x"], filter: $1["filter"], g, into: $1["y"]) }
    case .forwardWithStatistics: return convolutionWithStatistics(g, size: size)
    case .inference: return foldedConvolution(g, residual: false, relu: true, size: size)
    case .inputGradient:
      let accumulate = work.accumulates
      let dx: Operand = accumulate ? .updated("dx", g.input) : .output("dx", g.input)
      return Case(
        "convolutionInputGradient", g.description + (accumulate ? ", added" : ""), size: size, flops: 2 * g.macs, bound: bound,
        convolution: work,
        [.input("dy", g.output, .factors(of: g.input)), .input("filter", g.filter, .factors(of: g.input)), dx]
      ) { try $0.convolutionInputGradient($1["dy"], filter: $1["filter"], g, accumulate: accumulate, into: $1["dx"]) }
    case .filterGradient:
      return Case(
        "convolutionFilterGradient", g.description, size: size, flops: 2 * g.macs, bound: bound, convolution: work,
        [
          .input("x", g.input, .factors(of: g.filter)), .input("dy", g.output, .factors(of: g.filter)),
          .output("dw", g.filter),
        ]
      ) { try $0.convolutionFilterGradient($1["x"], $1["dy"], g, into: $1["dw"]) }
    }
  }

  /// Returns a case of training that computes the statistics of the result in the same operation.
  static func convolutionWithStatistics(_ g: Conv2D, size: Case.Size = .small) -> Case {
    let channels: Shape = [g.k]
    return Case(
      "convolution", g.description + ", statistics", size: size, flops: 2 * g.macs + 5 * g.output.count,
      bound: .convolution(ConvolutionWork(.forwardWithStatistics, g), winograd: g.r == 3 && g.s == 3 && g.stride == 1),
      convolution: ConvolutionWork(.forwardWithStatistics, g),
      [
        .input("x", g.input, .factors(of: g.output)), .input("filter", g.filter, .factors(of: g.output)),
        .output("y", g.output), .output("mean", channels), .output("inverseDeviation", channels),
        .updated("runningMean", channels), .updated("runningVariance", channels, .uniform(0.5, 1.5)),
      ]
    ) {
      try $0.convolution(
        $1["x"], filter: $1["filter"], g, into: $1["y"],
        $1.statistics(epsilon: 1e-5, momentum: 0.1))
    }
  }

  /// Cases for all passes of a few convolutions that lead to every kind of plan, in float32 and in 16 bits. They serve to check
  /// the many algorithms that a device may offer.
  package static var convolutionSamples: [Case] {
    let geometries = [
      Conv2D(input: [3, 9, 7, 32], filter: [3, 3, 32, 64], padding: 1),
      Conv2D(input: [2, 9, 9, 16], filter: [3, 3, 16, 32], stride: 2, padding: 1),
      Conv2D(input: [2, 7, 5, 48], filter: [1, 1, 48, 32]), Conv2D(input: [2, 9, 9, 32], filter: [1, 1, 32, 64], stride: 2),
      Conv2D(input: [3, 8, 8, 3], filter: [3, 3, 3, 16], padding: 1),
      Conv2D(input: [1, 21, 21, 3], filter: [7, 7, 3, 16], stride: 2, padding: 3),
    ]
    return geometries.enumerated().flatMap { row, g in
      let cases = convolutionPasses(g) + [convolutionWithStatistics(g), foldedConvolution(g, residual: true, relu: true)]
      return cases
        + cases.enumerated().compactMap { $1.stored(as: (row + $0) % 2 == 0 ? .bfloat16 : .float16) }
    }
  }

  private static let sizes = [33, 32, 28, 17, 14, 7, 3, 1]
  private static let channels = [
    (1, 16), (3, 10), (10, 17), (16, 16), (17, 33), (33, 3), (64, 64), (128, 10), (1, 1), (33, 64), (16, 128),
  ]
  private static let batches = [1, 2, 3, 5, 2]

  /// Every filter size with every stride and padding. Image sizes and channels take turns.
  private static var grid: [Conv2D] {
    var index = 0
    return [1, 3, 5, 7].flatMap { filter in
      (1...3).flatMap { stride in
        (0...3).map { padding in
          defer { index += 1 }
          return affordable(index, filter: filter, stride: stride, padding: padding)
        }
      }
    }
  }

  /// The filters of residual networks, with all image sizes and channel counts.
  private static var layers: [Conv2D] {
    [(1, 1, 0), (1, 2, 0), (3, 1, 1), (3, 2, 1)].flatMap { filter, stride, padding in
      channels.indices.map { affordable($0, filter: filter, stride: stride, padding: padding) }
    }
  }

  /// Returns the index-th choice of image, batch and channels, reduced until it is small enough for debug builds (3 million
  /// multiply-adds).
  private static func affordable(_ index: Int, filter: Int, stride: Int, padding: Int) -> Conv2D {
    let (c, k) = channels[index % channels.count]
    var batch = batches[index % batches.count]
    var size = index % sizes.count
    while true {
      let height = max(sizes[size], filter - 2 * padding)
      let input: Shape = [batch, height, max(height, index % 3 + filter - 2 * padding), c]
      let g = Conv2D(input: input, filter: [filter, filter, c, k], stride: stride, padding: padding)
      if g.macs <= 3_000_000 || size == sizes.count - 1 { return g }
      if batch > 1 { batch = 1 } else { size += 1 }
    }
  }

  private static var special: [Conv2D] {
    [
      // A filter is as large as the image, without and with a border.
      Conv2D(input: [2, 7, 7, 10], filter: [7, 7, 10, 17]),
      Conv2D(input: [2, 3, 3, 17], filter: [7, 7, 17, 3], padding: 3),
      // Neither the image nor the filter is square.
      Conv2D(input: [2, 5, 17, 3], filter: [3, 5, 3, 16], padding: 2),
      Conv2D(input: [1, 33, 7, 16], filter: [5, 1, 16, 10], stride: 2, padding: 1),
      Conv2D(input: [3, 1, 33, 4], filter: [1, 3, 4, 8], padding: 1),
      // The stride is larger than the filter: most pixels get no gradient.
      Conv2D(input: [2, 14, 14, 16], filter: [1, 1, 16, 33], stride: 3),
      Conv2D(input: [1, 17, 17, 3], filter: [3, 3, 3, 16], stride: 5, padding: 1),
      // No window reaches the last rows and columns.
      Conv2D(input: [2, 8, 10, 16], filter: [3, 3, 16, 16], stride: 3),
      // The whole border is padding, so that some outputs see only zeros.
      Conv2D(input: [2, 3, 3, 8], filter: [1, 1, 8, 16], padding: 3),
      // The channels suffice for every tile of a blocked kernel.
      Conv2D(input: [1, 7, 7, 128], filter: [3, 3, 128, 128], padding: 1),
      Conv2D(input: [2, 8, 8, 64], filter: [3, 3, 64, 64], padding: 1),
      Conv2D(input: [2, 14, 14, 48], filter: [1, 1, 48, 96]),
    ] + grouped
  }

  /// Groups of one channel, of a few channels that do not fill a vector, and of whole vectors; with strides, with one tap and
  /// with many.
  private static var grouped: [Conv2D] {
    [
      Conv2D(input: [2, 7, 9, 16], filter: [3, 3, 1, 16], padding: 1, groups: 16),
      Conv2D(input: [3, 9, 7, 12], filter: [3, 3, 3, 20], padding: 1, groups: 4),
      Conv2D(input: [2, 8, 8, 32], filter: [3, 3, 4, 32], padding: 1, groups: 8),
      Conv2D(input: [2, 9, 9, 64], filter: [3, 3, 16, 64], stride: 2, padding: 1, groups: 4),
      Conv2D(input: [2, 7, 5, 32], filter: [1, 1, 16, 48], groups: 2),
      Conv2D(input: [1, 9, 9, 48], filter: [5, 3, 24, 32], stride: 3, padding: 2, groups: 2),
    ]
  }
}
