/// The OpenCL C files, one case per file, embedded in the binary.
///
/// Each file also compiles on its own, with this folder on the include path.
public enum KernelSource: String, CaseIterable, Sendable {
  case batchNorm = "batch_norm.cl"
  case batchedProduct = "batched_product.cl"
  case convolution = "convolution.cl"
  case convolutionFilterGradient = "convolution_filter_gradient.cl"
  case convolutionTiled = "convolution_tiled.cl"
  case crossEntropy = "cross_entropy.cl"
  case elementwise = "elementwise.cl"
  case gatherBatch = "gather_batch.cl"
  case optimizer = "optimizer.cl"
  case packFilter = "pack_filter.cl"
  case peak = "peak.cl"
  case pooling = "pooling.cl"
  case winograd = "winograd.cl"
  case winogradBatched = "winograd_batched.cl"
  case winogradStaged = "winograd_staged.cl"

  /// Name of the file in `Kernels/`.
  public var fileName: String { rawValue }

  /// Embedded source, with its `#include` lines still in place.
  public var embedded: String {
    let bytes: [UInt8] =
      switch self {
      case .batchNorm: PackageResources.batch_norm_cl
      case .batchedProduct: PackageResources.batched_product_cl
      case .convolution: PackageResources.convolution_cl
      case .convolutionFilterGradient: PackageResources.convolution_filter_gradient_cl
      case .convolutionTiled: PackageResources.convolution_tiled_cl
      case .crossEntropy: PackageResources.cross_entropy_cl
      case .elementwise: PackageResources.elementwise_cl
      case .gatherBatch: PackageResources.gather_batch_cl
      case .optimizer: PackageResources.optimizer_cl
      case .packFilter: PackageResources.pack_filter_cl
      case .peak: PackageResources.peak_cl
      case .pooling: PackageResources.pooling_cl
      case .winograd: PackageResources.winograd_cl
      case .winogradBatched: PackageResources.winograd_batched_cl
      case .winogradStaged: PackageResources.winograd_staged_cl
      }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// A file that kernels include. The cases are in the order in which headers are inlined: each may include those after it.
  public enum Header: String, CaseIterable, Sendable {
    case winograd = "winograd.h"
    case strip = "strip.h"
    case tiledProduct = "tiled_product.h"
    case matrixInstructions = "matrix_instructions.h"
    case epilogue = "epilogue.h"
    case moments = "moments.h"
    case factors = "factors.h"
    case elements = "elements.h"
    case group = "group.h"
    case vector = "vector.h"

    /// Name of the file in `Kernels/`.
    public var fileName: String { rawValue }
    /// Line that includes the header.
    public var includeLine: String { "#include \"\(rawValue)\"" }

    public var embedded: String {
      switch self {
      case .winograd: String(decoding: PackageResources.winograd_h, as: UTF8.self)
      case .strip: String(decoding: PackageResources.strip_h, as: UTF8.self)
      case .group: String(decoding: PackageResources.group_h, as: UTF8.self)
      case .tiledProduct: String(decoding: PackageResources.tiled_product_h, as: UTF8.self)
      case .matrixInstructions: String(decoding: PackageResources.matrix_instructions_h, as: UTF8.self)
      case .moments: String(decoding: PackageResources.moments_h, as: UTF8.self)
      case .factors: String(decoding: PackageResources.factors_h, as: UTF8.self)
      case .elements: String(decoding: PackageResources.elements_h, as: UTF8.self)
      case .epilogue: String(decoding: PackageResources.epilogue_h, as: UTF8.self)
      case .vector: String(decoding: PackageResources.vector_h, as: UTF8.self)
      }
    }
  }
}
