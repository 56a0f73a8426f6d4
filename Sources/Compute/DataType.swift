/// Element types of tensors, data sets and weight files.
///
/// ```swift
/// let labels = try backend.tensor([128], .int32)
/// print(labels.type.byteCount)
/// ```
public enum DataType: String, Hashable, Sendable, CaseIterable {
  case float32
  /// IEEE binary16, a storage type for activations and their gradients; arithmetic is in float32.
  case float16
  /// The upper half of a float32, with the same use as ``float16``.
  case bfloat16
  /// Second precision of the CPU reference, needed for gradient checks. No OpenCL kernel uses it.
  case float64
  case int32
  /// Type of labels in files only; backends take ``int32``.
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

/// Storage of activations and their gradients in training and inference. Parameters, statistics, losses and all arithmetic are
/// float32.
///
/// ```swift
/// let classifier = try ImageClassifier(checkpoint, precision: .bf16)
/// ```
public enum Precision: String, Hashable, Sendable, CaseIterable, Codable {
  case fp32, fp16, bf16

  /// Returns the type of activations and their gradients on a backend. For full precision it is the backend's own type.
  public func storage(on backend: any Backend) -> DataType {
    switch self {
    case .fp32: backend.scalar
    case .fp16: .float16
    case .bf16: .bfloat16
    }
  }

  /// Whether gradients are so small, compared with the type's smallest numbers, that the loss must be scaled (Micikevicius et al.
  /// 2018).
  public var needsLossScaling: Bool { self == .fp16 }
}

/// Required exactness of the factors of a convolution.
///
/// ```swift
/// var device = Device.best
/// device.math = .fast
/// ```
public enum MathMode: String, CaseIterable, Sendable {
  /// Factors are float32.
  case exact
  /// Factors may be rounded to a type that the device's matrix instructions take; sums stay float32.
  case fast
}
