import Compute

extension Pass {
  /// Computes a convolution whose epilogue applies batch normalization by the running statistics or the bias, residual and ReLU.
  /// It is for inference only and has no gradient. x [N,H,W,C] → y [N,P,Q,K].
  public func foldedConvolution(
    _ x: Variable, _ convolution: Conv2DLayer, _ norm: BatchNormLayer?, residual: Variable?, relu: Bool
  ) throws -> Variable {
    let geometry = Conv2D(
      input: x.shape, filter: convolution.filter.shape, stride: convolution.stride, padding: convolution.padding,
      groups: convolution.groups)
    let storage = x.value.type
    let folded = try folded.unit(convolution, norm, geometry, storage, on: backend)
    let y = try backend.batchTensor(geometry.output, storage)
    try backend.convolution(
      x.value, prepared: folded.filter, geometry,
      ConvolutionEpilogue(scale: folded.scale, bias: folded.bias, residual: residual?.value, relu: relu), into: y)
    return Variable(y)
  }
}

/// Tensors that inference derives from the parameters of a network once and uses for every batch: filters in the backend's own
/// form, and batch normalization as one factor and one summand per channel.
///
/// This is a lazily filled cache, kept for the two most recent batch sizes. It is invalid once parameters or running statistics
/// change.
public final class FoldedParameters {
  struct Unit {
    let filter, scale, bias: Tensor
  }

  private struct Key: Hashable {
    let name: String
    let storage: DataType
  }
  /// Tensors for the most recent batch sizes, on which the filter's form may depend. A data set has two sizes: whole batches and
  /// a rest.
  private var units: [Key: [(geometry: Conv2D, unit: Unit)]] = [:]
  private static let sizesHeld = 2

  /// Creates an empty cache.
  public init() {}

  func unit(
    _ convolution: Conv2DLayer, _ norm: BatchNormLayer?, _ geometry: Conv2D, _ storage: DataType, on backend: any Backend
  ) throws -> Unit {
    let key = Key(name: convolution.name, storage: storage)
    if let known = units[key]?.first(where: { $0.geometry == geometry }) { return known.unit }
    let unit = Unit(
      filter: try backend.tensor([backend.preparedFilterCount(geometry, storage)]),
      scale: try backend.tensor([geometry.output[3]]), bias: try backend.tensor([geometry.output[3]]))
    try backend.prepareFilter(convolution.filter.value, geometry, storage, into: unit.filter)
    if let norm {
      try backend.foldBatchNorm(
        BatchNormEstimates(
          mean: norm.runningMean.value, variance: norm.runningVariance.value, scale: norm.scale.value, bias: norm.bias.value),
        epsilon: norm.epsilon, scale: unit.scale, bias: unit.bias)
    } else {
      try backend.fill(unit.scale, with: 1)
      if let bias = convolution.bias {
        try backend.copy(bias.value, into: unit.bias)
      } else {
        try backend.fill(unit.bias, with: 0)
      }
    }
    units[key] = (units[key] ?? []).suffix(Self.sizesHeld - 1) + [(geometry, unit)]
    return unit
  }
}
