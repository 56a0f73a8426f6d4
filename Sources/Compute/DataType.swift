/// The element types that tensors, data sets and weight files use.
public enum DataType: String, Hashable, Sendable, CaseIterable {
  case float32
  /// The CPU reference's second precision; gradient checks need it. No OpenCL kernel uses it.
  case float64
  case int32
  /// Labels in files only; backends take ``int32``.
  case int64
  case uint8

  /// Bytes of one element.
  public var byteCount: Int {
    switch self {
    case .uint8: 1
    case .float32, .int32: 4
    case .float64, .int64: 8
    }
  }
}
