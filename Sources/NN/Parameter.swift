import Compute

/// A named tensor of a model: a weight that the optimizer trains, or a running statistic of batch normalization.
///
/// ```swift
/// for parameter in session.network.store.parameters where !parameter.isFrozen {
///   print(parameter.name, parameter.shape)
/// }
/// ```
public final class Parameter {
  /// Kind of tensor, which decides its layout in files.
  public enum Kind: Hashable, Sendable {
    /// A filter [R,S,C,K]; torchvision stores [K,C,R,S].
    case filter
    /// A weight [in,out] of a linear layer, stored like a 1×1 filter, so that y = x·w needs no transposition; torchvision
    /// stores [out,in].
    case linearWeight
    /// A trained vector [C]: a scale or a bias.
    case vector
    /// An untrained vector [C]: a running mean or variance.
    case estimate

    /// Whether the optimizer changes it.
    public var isTrained: Bool { self != .estimate }
  }

  /// Distribution of the values before training.
  public enum Initializer: Hashable, Sendable {
    case constant(Double)
    /// Normal distribution with mean 0.
    case normal(deviation: Double)
    /// Uniform distribution on [−bound, bound).
    case uniform(bound: Double)
  }

  /// Name in torchvision, for example `layer1.0.conv1.weight`.
  public let name: String
  /// Shape in this project's layout.
  public let shape: Shape
  /// Kind of tensor.
  public let kind: Kind
  /// Distribution of the values before training.
  public let initializer: Initializer
  /// Whether training leaves it unchanged.
  public internal(set) var isFrozen = false
  private var tensors: (value: Tensor, gradient: Tensor?)?

  init(name: String, shape: Shape, kind: Kind, initializer: Initializer) {
    self.name = name
    self.shape = shape
    self.kind = kind
    self.initializer = initializer
  }

  /// Returns whether it belongs to the layer `prefix`, or to a layer within the part `prefix`.
  func isIn(_ prefix: String) -> Bool {
    let layer = name[..<(name.lastIndex(of: ".") ?? name.startIndex)]
    return layer == prefix || layer.hasPrefix("\(prefix).")
  }

  func place(value: Tensor, gradient: Tensor?) { tensors = (value, gradient) }

  /// Values on the backend.
  /// - Precondition: the store is allocated.
  public var value: Tensor {
    guard let tensors else { preconditionFailure("[Parameter] \(name) is used before ParameterStore.allocate") }
    return tensors.value
  }

  /// Gradient of the last backward pass.
  /// - Precondition: the store is allocated and the parameter is trained.
  public var gradient: Tensor {
    guard let gradient = tensors?.gradient else { preconditionFailure("[Parameter] \(name) has no gradient") }
    return gradient
  }
}
