import Compute
import Support

extension Operator {
  /// Plans a convolution, fused with the batch normalization, the arithmetic with one number a channel, the sum and the ReLU that
  /// follow it.
  static func convolution(_ node: Node, _ planner: Planner) throws {
    let input = try planner.computed(node, 0)
    let filter = try planner.constant(node, 1)
    guard filter.shape.count == input.shape.count, input.shape.count == 3 || input.shape.count == 4 else {
      throw Failure(
        .unsupported,
        "\(describe(input.shape)) by \(describe(filter.shape)): images [N, C, H, W] by [K, C, R, S], or rows [N, C, W] by "
          + "[K, C, S], are supported")
    }
    let window = Array(filter.shape[2...])
    guard try node.ints("kernel_shape") ?? window == window else {
      throw Failure(.damagedFile, "kernel_shape is not that of its filter, \(describe(filter.shape))")
    }
    let windows = try Windows(node, input.shape, window: window)
    let (groups, channels, outputs) = (try node.int("group", default: 1), input.shape[1], filter.shape[0])
    guard groups > 0, outputs > 0, outputs % groups == 0, channels % groups == 0, filter.shape[1] == channels / groups else {
      throw Failure(.mismatch, "\(channels) channels in \(groups) groups do not fit a filter \(describe(filter.shape))")
    }
    let bias = try planner.has(node, 2) ? planner.floats(node, 2, shape: [outputs]) : nil
    let x = try windows.images(input, planner)
    let y = try windows.output(of: x, channels: outputs, planner)

    var name = node.outputs[0]
    let shape = windows.result(y).shape
    let scales = planner.scales(bias, after: &name, shape: shape)
    let residual = try planner.takeSum(after: &name, shape: shape).map { try windows.images($0, planner) }
    let ending = Ending(channels: scales, residual: residual, relu: planner.takeRelu(after: &name))
    let convolution = Convolution(
      windows: windows, groups: groups, filter: try planner.filter(filter), ending: ending)
    try convolution.lay(x, y, planner)
    planner.define(name, .computed(windows.result(y)))
  }
}

/// Epilogue of a convolution: its result y becomes y·scale + bias for each channel, plus the residual, then ReLU.
private struct Ending {
  /// Index of the parameter with scale and bias, both [K].
  let channels: Int
  let residual: Computed?
  let relu: Bool
}

/// Convolution fused with its epilogue.
private struct Convolution {
  let windows: Windows
  let groups: Int
  /// Filter as float32 [R,S,C/groups,K].
  let filter: Filter
  let ending: Ending

  /// Filter in this project's layout, and the constant that it was made of.
  struct Filter {
    let original: Constant
    let elements: HostTensor
  }

  func lay(_ x: Computed, _ y: Computed, _ planner: Planner) throws {
    let (rows, columns) = (windows.rows, windows.columns)
    // The backend's convolution has one stride for both axes and no dilation. Uneven padding is added before it.
    guard rows.stride == columns.stride, rows.dilation == 1 || rows.window == 1, columns.dilation == 1 || columns.window == 1
    else { return try layGeneral(x, y, planner) }
    let paddings = Set([rows.before, rows.after, columns.before, columns.after])
    let isEven = paddings.count == 1 && rows.before < max(2, min(rows.window, columns.window)) && rows.before * 2 <= rows.window
    let (input, padding) = isEven ? (x, rows.before) : (try padded(x, planner), 0)
    let geometry = Conv2D(
      input: Shape(input.storedShape), filter: filter.elements.shape, stride: rows.stride, padding: padding, groups: groups)
    planner.note(geometry)
    let (ending, elements) = (ending, filter.elements)
    let prepared = planner.parameter([filter.original], "prepared for \(geometry)") { backend in
      let prepared = try backend.tensor([backend.preparedFilterCount(geometry, backend.scalar)])
      try backend.prepareFilter(try backend.upload(elements), geometry, backend.scalar, into: prepared)
      return [prepared]
    }
    planner.step(reads: [input] + (ending.residual.map { [$0] } ?? []), writes: [y]) { run in
      let scales = try run.parameter(ending.channels)
      let epilogue = ConvolutionEpilogue(
        scale: scales[0], bias: scales[1], residual: ending.residual.map { run[$0] }, relu: ending.relu)
      try run.backend.convolution(run[input], prepared: try run.parameter(prepared)[0], geometry, epilogue, into: run[y])
    }
  }

  private func padded(_ x: Computed, _ planner: Planner) throws -> Computed {
    let (rows, columns) = (windows.rows, windows.columns)
    let (before, after) = ([0, 0, rows.before, columns.before], [0, 0, rows.after, columns.after])
    if (before + after).allSatisfy({ $0 == 0 }) { return x }
    return try Operator.padded(x, before, after, 0, planner)
  }

  /// Plans a convolution with unequal strides or with dilation. The pixels of each window form a row of a matrix, which is
  /// multiplied by the filter as another matrix.
  private func layGeneral(_ x: Computed, _ y: Computed, _ planner: Planner) throws {
    let input = try padded(x, planner)
    let patches = try Patches(input, windows, groups: groups, outputs: filter.elements.shape[3])
    let (ending, elements) = (ending, filter.elements)
    let matrices = planner.parameter([filter.original], "matrices of \(groups)") { backend in
      try (0..<patches.groups).map { try backend.upload(patches.matrix(of: elements, group: $0)) }
    }
    let unit = planner.parameter([], "zeros and ones \(patches.outputs)") { backend in
      try [0, 1].map { try backend.upload(HostTensor([Float](repeating: $0, count: patches.outputs), shape: [patches.outputs])) }
    }
    planner.step(reads: [input] + (ending.residual.map { [$0] } ?? []), writes: [y]) { run in
      let (backend, result) = (run.backend, run[y])
      try patches.multiply(run[input], by: try run.parameter(matrices), into: result, on: backend)
      let (scales, units) = (try run.parameter(ending.channels), try run.parameter(unit))
      try backend.batchNorm(
        result, BatchNormChannels(mean: units[0], inverseDeviation: units[1], scale: scales[0], bias: scales[1]),
        residual: ending.residual.map { run[$0] }, relu: ending.relu, into: result)
    }
  }
}

/// Windows of padded images as the rows of matrices, one matrix for each group of channels: [N·P·Q, R·S·C/groups].
private struct Patches {
  let n, c, groups, outputs: Int
  /// Strides of images, rows and pixels of the input.
  let strides: (n: Int, h: Int, w: Int)
  let rows, columns: SlidingAxis
  /// Number of images whose patches are made at once.
  let images: Int

  /// Maximum number of elements of the patches made at once, half a gigabyte, unless a single image has more.
  private static let largestCount = 1 << 27

  /// - Throws: ``Failure`` if the patches of one image have more elements than kernels can count.
  init(_ x: Computed, _ windows: Windows, groups: Int, outputs: Int) throws {
    (n, c) = (x.shape[0], x.shape[1])
    (self.groups, self.outputs, rows, columns) = (groups, outputs, windows.rows, windows.columns)
    strides = (x.shape[2] * x.shape[3] * c, x.shape[3] * c, c)
    let perImage = rows.output * columns.output * (rows.window * columns.window * (c / groups))
    guard perImage <= Planner.largestCount else {
      throw Failure(
        .unsupported, "the windows of one image have \(perImage) elements together, more than \(Planner.largestCount)")
    }
    images = max(1, min(n, Self.largestCount / perImage))
  }

  /// Number of elements of each window in one group.
  var terms: Int { rows.window * columns.window * c / groups }

  /// Returns a group's part of a filter [R,S,C/groups,K] as a matrix [R·S·C/groups, K/groups].
  func matrix(of filter: HostTensor, group: Int) -> HostTensor {
    let (values, width) = (filter.floats, outputs / groups)
    var part: [Float] = []
    for term in 0..<terms {
      let start = term * outputs + group * width
      part += values[start..<start + width]
    }
    return HostTensor(part, shape: [terms, width])
  }

  func multiply(_ x: Tensor, by matrices: [Tensor], into y: Tensor, on backend: any Backend) throws {
    let (pixels, width) = (rows.output * columns.output, outputs / groups)
    for first in stride(from: 0, to: n, by: images) {
      let count = min(images, n - first)
      let patches = try backend.tensor([count * pixels, terms])
      for (group, matrix) in matrices.enumerated() {
        try backend.rearrange(x, gathering(count, from: first, group), into: patches)
        if groups == 1 && count == n {
          try backend.multiply(patches, transposed: false, matrix, transposed: false, into: y.reshaped([count * pixels, width]))
          continue
        }
        let part = try backend.tensor([count * pixels, width])
        try backend.multiply(patches, transposed: false, matrix, transposed: false, into: part)
        let placing = StridedCopy(
          extents: [count * pixels, width], from: .init(strides: [width, 1]),
          to: .init(start: first * pixels * outputs + group * width, strides: [outputs, 1]))
        try backend.rearrange(part, placing, into: y)
      }
    }
  }

  /// Returns the copy that gathers the windows of `count` images.
  private func gathering(_ count: Int, from first: Int, _ group: Int) -> StridedCopy {
    let width = c / groups
    let extents = [count, rows.output, columns.output, rows.window, columns.window, width]
    let (down, right) = (rows.stride * strides.h, columns.stride * strides.w)
    let (tapDown, tapRight) = (rows.dilation * strides.h, columns.dilation * strides.w)
    return StridedCopy(
      extents: extents,
      from: .init(start: first * strides.n + group * width, strides: [strides.n, down, right, tapDown, tapRight, 1]),
      to: .init(strides: StridedCopy.rowMajorStrides(extents)))
  }
}

extension Planner {
  /// Brings a filter [K,C/groups,R,S], or [K,C/groups,S], into the layout [R,S,C/groups,K].
  fileprivate func filter(_ constant: Constant) throws -> Convolution.Filter {
    let image = constant.shape.count == 3 ? constant.reshaped(constant.shape[..<2] + [1] + constant.shape[2...]) : constant
    try count(image)
    let own = image.transposed([2, 3, 1, 0])
    guard case .floats(let values) = own.elements, constant.type.isComputedWith else {
      throw Failure(.unsupported, "its filter is of \(constant.type.name), and only \(ElementType.computedWith) are supported")
    }
    return Convolution.Filter(original: constant, elements: HostTensor(values, shape: Shape(own.shape)))
  }

  /// Takes over the batch normalization of a convolution's result [N,K,…], and the arithmetic with one number a channel before
  /// and after it.
  /// - Returns: index of the parameter with the factor and the summand of each channel, which combine all of these and the bias.
  fileprivate func scales(_ bias: Constant?, after name: inout String, shape: [Int]) -> Int {
    let channels = shape[1]
    let before = takeChanges(after: &name, shape: shape, along: [1])
    let norm = before.allSatisfy(\.isShift) ? takeNorm(after: &name, channels: channels) : nil
    let after = norm == nil ? [] : takeChanges(after: &name, shape: shape, along: [1])
    let constants = (bias.map { [$0] } ?? []) + before.map(\.constant) + (norm?.constants ?? []) + after.map(\.constant)
    let form =
      "\(channels) channels, \(bias == nil ? "" : "bias ")\(before.map(\.form)) \(norm?.epsilon ?? 0) \(after.map(\.form))"
    func upload(_ values: [Float], _ backend: any Backend) throws -> Tensor {
      try backend.upload(HostTensor(values, shape: [channels]))
    }
    return parameter(constants, form) { backend in
      let (factors, summands) = before.folded(along: [1], of: shape, summands: bias?.floats)
      guard let norm else { return [try upload(factors, backend), try upload(summands, backend)] }
      let folded = try [0, 0].map { try upload([Float](repeating: $0, count: channels), backend) }
      // Normalizing y + b equals normalizing y with the mean minus b. A factor of the result is a factor of both its scale and
      // its bias.
      let mean = zip(norm.mean.floats, summands).map { $0 - $1 }
      let (scale, shift) = after.folded(along: [1], of: shape)
      let estimates = BatchNormEstimates(
        mean: try upload(mean, backend), variance: try upload(norm.variance.floats, backend),
        scale: try upload(zip(norm.scale.floats, scale).map { $0 * $1 }, backend),
        bias: try upload(zip(norm.bias.floats, zip(scale, shift)).map { $0 * $1.0 + $1.1 }, backend))
      try backend.foldBatchNorm(estimates, epsilon: Double(norm.epsilon), scale: folded[0], bias: folded[1])
      return folded
    }
  }
}

extension Constant {
  /// Elements of a constant of floats; empty for integers.
  var floats: [Float] { if case .floats(let values) = elements { values } else { [] } }
}
