import Compute
import OpenCLBackend
import Support
import Testing

/// Passes of convolutions on operands that depend only on their shapes.
enum ConvolutionRun {
  /// Returns all passes of a convolution.
  static func works(_ g: Conv2D, _ storage: DataType = .float32) -> [ConvolutionWork] {
    [
      ConvolutionWork(.forward, g, storage), ConvolutionWork(.forwardWithStatistics, g, storage),
      ConvolutionWork(.inference, g, storage), ConvolutionWork(.inputGradient, g, storage),
      ConvolutionWork(.inputGradient, g, storage, accumulates: true), ConvolutionWork(.filterGradient, g, storage),
    ]
  }

  private static func values(_ shape: Shape, _ seed: UInt64) -> HostTensor {
    var random = Philox(seed: seed, stream: 0)
    return HostTensor((0..<shape.count).map { _ in random.uniform() * 2 - 1 }, shape: shape)
  }

  /// Returns the results, the convolution's own result first.
  /// - Parameter isReference: whether activations keep the backend's own precision. Their values are still rounded to the
  ///   storage type of the work.
  static func results(
    of work: ConvolutionWork, on backend: any Backend, asReference isReference: Bool = false
  ) throws -> [HostTensor] {
    let g = work.geometry
    func operand(_ shape: Shape, _ seed: UInt64) throws -> Tensor { try backend.upload(values(shape, seed)) }
    func activation(_ shape: Shape, _ seed: UInt64) throws -> Tensor {
      try backend.upload(values(shape, seed).converted(to: work.storage), as: isReference ? nil : work.storage)
    }
    let (x, filter, y) = try (activation(g.input, 1), operand(g.filter, 2), activation(g.output, 3))
    switch work.pass {
    case .forward:
      try backend.convolution(x, filter: filter, g, into: y)
      return [try backend.download(y)]
    case .forwardWithStatistics:
      let channels = try (10..<14).map { try operand([g.k], $0) }
      try backend.convolution(
        x, filter: filter, g, into: y,
        BatchNormStatistics(
          epsilon: 1e-5, momentum: 0.1, mean: channels[0], inverseDeviation: channels[1], runningMean: channels[2],
          runningVariance: channels[3]))
      return try ([y] + channels).map(backend.download)
    case .inference:
      let prepared = try backend.tensor([backend.preparedFilterCount(g, work.storage)])
      try backend.prepareFilter(filter, g, work.storage, into: prepared)
      let channels = try (operand([g.k], 4), operand([g.k], 5))
      let epilogue = ConvolutionEpilogue(
        scale: channels.0, bias: channels.1, residual: try activation(g.output, 6), relu: true)
      try backend.convolution(x, prepared: prepared, g, epilogue, into: y)
      return [try backend.download(y)]
    case .inputGradient:
      try backend.convolutionInputGradient(y, filter: filter, g, accumulate: work.accumulates, into: x)
      return [try backend.download(x)]
    case .filterGradient:
      try backend.convolutionFilterGradient(x, y, g, into: filter)
      return [try backend.download(filter)]
    }
  }
}

extension ConvolutionChoice {
  /// Returns the choice of an algorithm with these sizes, all of which it must have.
  static func named(_ algorithm: String, _ sizes: [String: Int] = [:]) throws -> Self {
    let text = ([algorithm] + sizes.map { "\($0.key)=\($0.value)" }).joined(separator: " ")
    return try #require(ConvolutionChoice(text), "\(text) is no choice")
  }
}
