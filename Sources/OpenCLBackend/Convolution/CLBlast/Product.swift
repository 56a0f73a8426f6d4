import CCLBlast
import Compute
import Glibc
import OpenCL
import Synchronization

/// Matrix products: by CLBlast, or, on CPUs, as convolutions of a single tap.
extension OpenCLBackend {
  /// Runs `body` with exact mathematics. Matrix products keep float32, because there are few of them.
  func exactly<Result>(_ body: () throws -> Result) rethrows -> Result {
    let math = traits.math
    traits.math = .exact
    defer { traits.math = math }
    return try body()
  }

  /// Returns the convolution of a single tap that computes this product, for CPUs. CLBlast builds about thirty kernels before its
  /// first product, which takes PoCL longer than everything else that a small network needs. Besides, the convolutions are
  /// faster.
  func tapConvolution(_ product: MatrixProduct) -> ConvolutionWork? {
    guard traits.isCPU else { return nil }
    let (m, n, k) = (product.m, product.n, product.k)
    switch (product.transposedA, product.transposedB) {
    case (false, false): return ConvolutionWork(.forward, Conv2D(input: pixels(m, k), filter: [1, 1, k, n]))
    case (false, true): return ConvolutionWork(.inputGradient, Conv2D(input: pixels(m, n), filter: [1, 1, n, k]))
    case (true, false): return ConvolutionWork(.filterGradient, Conv2D(input: pixels(k, m), filter: [1, 1, m, n]))
    case (true, true): return nil
    }
  }

  /// Returns the shape of an image whose pixels are the rows of a matrix.
  private func pixels(_ rows: Int, _ channels: Int) -> Shape { [1, 1, rows, channels] }

  /// Computes a pass of a convolution of a single tap as one product, whose rows are the pixels.
  func multiplyPixels(
    _ a: Tensor, _ b: Tensor, _ g: Conv2D, _ pass: ConvolutionPass, accumulate: Bool = false, into c: Tensor
  ) throws {
    let pixels = g.n * g.h * g.w
    let product =
      switch pass {
      case .forward, .forwardWithStatistics, .inference: MatrixProduct(m: pixels, n: g.k, k: g.c)
      case .inputGradient: MatrixProduct(m: pixels, n: g.c, k: g.k, transposedB: true)
      case .filterGradient: MatrixProduct(m: g.c, n: g.k, k: pixels, transposedA: true)
      }
    try multiplyByCLBlast(a, b, product, accumulate: accumulate, into: c)
  }
}

/// Parameters of CLBlast for matrix products. CLBlast keeps them for each device of the process.
enum CLBlastParameters {
  /// Parameters for CPUs, for which CLBlast's own database has no good answer: on PoCL they give about 90 GFLOP/s on two AVX-512
  /// cores, where the defaults give 13.
  private static let forCPUs: KeyValuePairs<String, Int> = [
    "GEMMK": 0, "KREG": 1, "KWG": 32, "KWI": 2, "MDIMA": 8, "MDIMC": 8, "MWG": 64, "NDIMB": 8, "NDIMC": 8, "NWG": 64, "SA": 0,
    "SB": 0, "STRM": 0, "STRN": 0, "VWM": 4, "VWN": 4,
  ]

  private static let prepared = Mutex<Set<Device>>([])

  /// Sets the parameters before a CPU's first product.
  static func prepare(_ device: Device, _ traits: DeviceTraits) throws(OpenCLError) {
    guard traits.isCPU, prepared.withLock({ $0.insert(device).inserted }) else { return }
    let names = forCPUs.map { strdup($0.key) }
    defer { for name in names { free(name) } }
    var pointers = names.map { UnsafePointer($0) }
    let values = forCPUs.map(\.value)
    let status = CLBlastOverrideParameters(device.handle, "Xgemm", CLBlastPrecisionSingle, values.count, &pointers, values)
    guard status == CLBlastSuccess else {
      throw OpenCLError(call: "CLBlastOverrideParameters", code: status.rawValue)
    }
  }
}
