/// The element types that tensors, data sets and weight files use.
public enum DataType: String, Hashable, Sendable, CaseIterable {
  case float32
  /// IEEE binary16, in which activations and their gradients can be stored; arithmetic is in float32.
  case float16
  /// The upper half of a float32, for the same purpose.
  case bfloat16
  /// The CPU reference's second precision; gradient checks need it. No OpenCL kernel uses it.
  case float64
  case int32
  /// Labels in files only; backends take ``int32``.
  case int64
  case uint8

  /// Whether elements are floating-point numbers.
  public var isFloatingPoint: Bool {
    switch self {
    case .float32, .float16, .bfloat16, .float64: true
    case .int32, .int64, .uint8: false
    }
  }

  /// The unit roundoff: half the distance from 1 to the next number. Zero for integers.
  public var roundoff: Double {
    switch self {
    case .float16: 0x1p-11
    case .bfloat16: 0x1p-8
    case .float32: 0x1p-24
    case .float64: 0x1p-53
    case .int32, .int64, .uint8: 0
    }
  }

  /// Bytes of one element.
  public var byteCount: Int {
    switch self {
    case .uint8: 1
    case .float16, .bfloat16: 2
    case .float32, .int32: 4
    case .float64, .int64: 8
    }
  }
}

/// How training and inference store activations and their gradients. Parameters, statistics, losses and all arithmetic are float32.
public enum Precision: String, Hashable, Sendable, CaseIterable, Codable {
  case fp32, fp16, bf16

  /// The type of activations and their gradients on a backend: full precision is the backend's own.
  public func storage(on backend: any Backend) -> DataType {
    switch self {
    case .fp32: backend.scalar
    case .fp16: .float16
    case .bf16: .bfloat16
    }
  }

  /// Whether gradients are so small beside the type's smallest numbers that the loss must be scaled (Micikevicius et al. 2018).
  public var needsLossScaling: Bool { self == .fp16 }
}
