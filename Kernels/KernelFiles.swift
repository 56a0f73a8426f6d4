/// The OpenCL C files and their headers, embedded in the binary.
///
/// Each `.cl` file also compiles on its own, with the folder `Kernels/OpenCL` on the include path.
public enum KernelFiles {
  /// Bytes of every file of `Kernels/OpenCL`, by its name.
  private static let bytes: [String: [UInt8]] = [
    "batch_norm.cl": PackageResources.batch_norm_cl,
    "batched_product.cl": PackageResources.batched_product_cl,
    "convolution.cl": PackageResources.convolution_cl,
    "convolution_filter_gradient.cl": PackageResources.convolution_filter_gradient_cl,
    "convolution_tiled.cl": PackageResources.convolution_tiled_cl,
    "cross_entropy.cl": PackageResources.cross_entropy_cl,
    "elements.h": PackageResources.elements_h,
    "elementwise.cl": PackageResources.elementwise_cl,
    "epilogue.h": PackageResources.epilogue_h,
    "factors.h": PackageResources.factors_h,
    "gather_batch.cl": PackageResources.gather_batch_cl,
    "group.h": PackageResources.group_h,
    "matrix_instructions.h": PackageResources.matrix_instructions_h,
    "moments.h": PackageResources.moments_h,
    "optimizer.cl": PackageResources.optimizer_cl,
    "pack_filter.cl": PackageResources.pack_filter_cl,
    "parameters.h": PackageResources.parameters_h,
    "peak.cl": PackageResources.peak_cl,
    "pooling.cl": PackageResources.pooling_cl,
    "strip.h": PackageResources.strip_h,
    "tiled_product.h": PackageResources.tiled_product_h,
    "vector.h": PackageResources.vector_h,
    "winograd.cl": PackageResources.winograd_cl,
    "winograd.h": PackageResources.winograd_h,
    "winograd_batched.cl": PackageResources.winograd_batched_cl,
    "winograd_staged.cl": PackageResources.winograd_staged_cl,
  ]

  /// Names of all files, sorted.
  public static var names: [String] { bytes.keys.sorted() }

  /// Names of the files with kernels, sorted. The others are headers.
  public static var sources: [String] { names.filter { $0.hasSuffix(".cl") } }

  /// Returns the text of a file, with its `#include` lines still in place.
  /// - Precondition: there is a file of this name.
  public static func text(of name: String) -> String {
    guard let bytes = bytes[name] else { preconditionFailure("[KernelFiles] no file \(name)") }
    return String(decoding: bytes, as: UTF8.self)
  }
}
