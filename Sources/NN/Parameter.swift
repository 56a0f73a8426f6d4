import Compute

/// A named tensor of a model: a weight that the optimiser trains, or a running estimate of batch normalisation.
public final class Parameter {
  /// What the tensor is, which decides its layout in files.
  public enum Kind: Hashable, Sendable {
    /// [R,S,C,K]; torchvision stores [K,C,R,S].
    case filter
    /// [in,out], as a 1×1 filter, so that y = x·w needs no transposition; torchvision stores [out,in].
    case linearWeight
    /// [C], trained: a scale or a bias.
    case vector
    /// [C], not trained: a running mean or variance.
    case estimate

    /// Whether the optimiser changes it.
    public var isTrained: Bool { self != .estimate }
  }

  /// The values before training.
  public enum Initialiser: Hashable, Sendable {
    case constant(Double)
    /// Normal with mean 0.
    case normal(deviation: Double)
    /// Uniform on [−bound, bound).
    case uniform(bound: Double)
  }

  /// torchvision's name, for example `layer1.0.conv1.weight`.
  public let name: String
  /// In this project's layout.
  public let shape: Shape
  /// What it is.
  public let kind: Kind
  /// What it is before training.
  public let initialiser: Initialiser
  /// Whether training leaves it as it is.
  public internal(set) var isFrozen = false
  private var tensors: (value: Tensor, gradient: Tensor?)?

  init(name: String, shape: Shape, kind: Kind, initialiser: Initialiser) {
    self.name = name
    self.shape = shape
    self.kind = kind
    self.initialiser = initialiser
  }

  /// Whether it belongs to a layer that is called `prefix`, or that is within what is.
  func isIn(_ prefix: String) -> Bool {
    let layer = name[..<(name.lastIndex(of: ".") ?? name.startIndex)]
    return layer == prefix || layer.hasPrefix("\(prefix).")
  }

  func place(value: Tensor, gradient: Tensor?) { tensors = (value, gradient) }

  /// The values on the backend.
  /// - Precondition: the store is allocated.
  public var value: Tensor {
    guard let tensors else { preconditionFailure("[Parameter] \(name) is used before ParameterStore.allocate") }
    return tensors.value
  }

  /// The gradient of the last backward pass.
  /// - Precondition: the store is allocated and the parameter is trained.
  public var gradient: Tensor {
    guard let gradient = tensors?.gradient else { preconditionFailure("[Parameter] \(name) has no gradient") }
    return gradient
  }
}
