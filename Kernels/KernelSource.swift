/// The OpenCL C files, one case a file, embedded in the binary.
///
/// Each file also compiles on its own, with this folder on the include path.
public enum KernelSource: String, CaseIterable, Sendable {
  case batchNorm = "batch_norm.cl"
  case convolution = "convolution.cl"
  case convolutionFilterGradient = "convolution_filter_gradient.cl"
  case crossEntropy = "cross_entropy.cl"
  case elementwise = "elementwise.cl"
  case gatherBatch = "gather_batch.cl"
  case peak = "peak.cl"
  case pooling = "pooling.cl"
  case winograd = "winograd.cl"

  /// The name of the file in `Kernels/`.
  public var fileName: String { rawValue }

  /// The source as embedded, with its `#include` of the one shared header still in place.
  public var embedded: String {
    let bytes: [UInt8] =
      switch self {
      case .batchNorm: PackageResources.batch_norm_cl
      case .convolution: PackageResources.convolution_cl
      case .convolutionFilterGradient: PackageResources.convolution_filter_gradient_cl
      case .crossEntropy: PackageResources.cross_entropy_cl
      case .elementwise: PackageResources.elementwise_cl
      case .gatherBatch: PackageResources.gather_batch_cl
      case .peak: PackageResources.peak_cl
      case .pooling: PackageResources.pooling_cl
      case .winograd: PackageResources.winograd_cl
      }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The header that kernels include for vectors of a width chosen by the host.
  public static var vectorHeader: String { String(decoding: PackageResources.vector_h, as: UTF8.self) }

  /// The line that asks for ``vectorHeader``.
  public static let includeLine = "#include \"vector.h\""
}
