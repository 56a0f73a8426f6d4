import Compute
import Support

/// The first tensor of a step of training that holds a number that is not finite.
public struct FaultFinding: Hashable, Codable, Sendable {
  /// Layer whose operation computed the tensor, in torchvision's words; empty outside layers. Nil if the tensor was there before
  /// the step: the images, a weight or a running statistic.
  public var layer: String?
  /// Operation that computed the tensor; nil if the tensor was there before the step.
  public var operation: String?
  /// Name of the tensor: of a parameter, or of an operand of the operation.
  public var tensor: String
  /// Whether the tensor was computed on the way back, from the loss to the images.
  public var isBackward = false
  /// Number of its values that are not finite, and number of all of its values.
  public var count, total: Int
  /// Shape of the tensor, and indices of the first value that is not finite.
  public var shape, first: [Int]
  /// The first value that is not finite: `nan`, `inf` or `-inf`.
  public var value: String

  /// Name of the tensor for messages, for example `the result y of convolution in layer1.0.conv1`.
  public var name: String {
    guard let operation else { return tensor }
    let layer = layer ?? ""
    switch (operation, tensor) {
    case ("crossEntropy", "metrics"), ("weightedCrossEntropy", "metrics"): return "the loss"
    case ("crossEntropy", "gradient"), ("weightedCrossEntropy", "gradient"): return "the gradient of the logits"
    case ("convolutionFilterGradient", "dw"), ("batchNormGradient", "dscale"): return "the gradient of \(layer).weight"
    case ("batchNormGradient", "dbias"), ("sumRows", "sum"): return "the gradient of \(layer).bias"
    case (_, "runningMean"): return "the running mean of the channels, by \(operation) in \(layer)"
    case (_, "runningVariance"): return "the running variance of the channels, by \(operation) in \(layer)"
    default: return "the result \(tensor) of \(operation) in \(layer.isEmpty ? "no layer" : layer)"
    }
  }

  /// Sentence about the tensor.
  public var text: String {
    let place = first.isEmpty ? "" : " at [\(first.map(String.init).joined(separator: ","))]"
    return
      "\(name)\(isBackward ? ", on the way back": ""): \(count) of \(total) values are not finite, the first\(place) is \(value)"
  }
}

/// Figures of a tensor's values, by which they are judged.
struct TensorFigures {
  /// Number of values that are not finite, and index of the first of them.
  let faults: Int
  let first: Int?
  /// The first value that is not finite.
  let value: Float?
  /// Largest magnitude of the finite values.
  let largest: Float

  init(_ values: [Float]) {
    var (faults, first, largest) = (0, Int?.none, Float(0))
    for (index, value) in values.enumerated() {
      if value.isFinite {
        largest = max(largest, value.magnitude)
      } else {
        faults += 1
        if first == nil { first = index }
      }
    }
    (self.faults, self.first, self.largest) = (faults, first, largest)
    value = first.map { values[$0] }
  }
}

extension FaultFinding {
  /// A tensor with these figures; nil if all of its values are finite.
  init?(
    _ figures: TensorFigures, of tensor: String, _ shape: Shape, layer: String? = nil, operation: String? = nil,
    isBackward: Bool = false
  ) {
    guard let first = figures.first, let value = figures.value else { return nil }
    (self.layer, self.operation, self.tensor, self.isBackward) = (layer, operation, tensor, isBackward)
    (count, total, self.shape) = (figures.faults, shape.count, shape.dimensions)
    var (indices, rest) = ([Int](), first)
    for extent in shape.dimensions.reversed() {
      indices.insert(rest % extent, at: 0)
      rest /= extent
    }
    self.first = indices
    self.value = "\(value)".replacing("-nan", with: "nan")
  }
}
