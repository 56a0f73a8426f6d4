import CKernelParameters
import Compute

/// A convolution as `convolution.cl` computes it: a forward pass, or one phase of an input gradient. Such a phase is a
/// convolution of dy with a part of the filter, and writes every stride-th pixel of dx.
struct ConvolutionProblem: Hashable {
  let n, h, w, c, k, p, q, r, s: Int
  let stride, groups: Int
  /// Rows and columns of zero padding before the input; negative if the first input rows are not used.
  let padTop, padLeft: Int
  /// Elements between images, rows and columns of the output, and before its first pixel.
  let yImage, yRow, yColumn, yStart: Int
  /// Number of elements before the filter.
  let wStart: Int

  init(forward g: Conv2D) {
    (n, h, w, c, k, p, q, r, s) = (g.n, g.h, g.w, g.c, g.k, g.p, g.q, g.r, g.s)
    (stride, groups, padTop, padLeft) = (g.stride, g.groups, g.padding, g.padding)
    (yImage, yRow, yColumn, yStart, wStart) = (g.p * g.q * g.k, g.q * g.k, g.k, 0, 0)
  }

  /// Creates the phase of an input gradient whose taps are `rows` and `columns`.
  init(inputGradient g: Conv2D, rows: PhaseAxis, columns: PhaseAxis, wStart: Int) {
    (n, h, w, c, k) = (g.n, g.p, g.q, g.k, g.c)
    (p, q, r, s) = (rows.outputs, columns.outputs, rows.taps, columns.taps)
    (stride, groups, padTop, padLeft) = (1, g.groups, rows.padding, columns.padding)
    (yImage, yRow, yColumn) = (g.h * g.w * g.c, g.stride * g.w * g.c, g.stride * g.c)
    yStart = (rows.first * g.w + columns.first) * g.c
    self.wStart = wStart
  }

  /// Whether the output's pixels follow one another. False for a phase of a strided input gradient.
  var isDense: Bool { yColumn == k && yRow == q * k && yStart == 0 }

  /// Input and output channels of a channel group.
  var groupC: Int { c / groups }
  var groupK: Int { k / groups }

  /// Whether the filter is a single tap that meets every pixel.
  var isPlain: Bool { groups == 1 && r == 1 && s == 1 && stride == 1 && padTop == 0 && padLeft == 0 && p == h && q == w }

  /// Whether it takes less than a thousandth of the time that compiling a kernel for it takes: about two million multiply-adds.
  var isSmall: Bool { n * p * q * r * s * groupC * k <= 2_000_000 }

  /// Number of elements of the filter.
  var filterCount: Int { r * s * groupC * k }

  /// Returns the bytes of the output; for dx only those of the phase's own pixels.
  func written(_ storage: DataType) -> Int { storage.byteCount * n * p * q * k }

  /// Returns the bytes that the direct kernels read and write if each value is moved once.
  func traffic(_ storage: DataType) -> Int { storage.byteCount * n * h * w * c + written(storage) + 4 * filterCount }
}

extension ConvolutionProblem {
  /// The problem as the kernels of convolutions and filter gradients take it.
  var parameters: convolution_t {
    get throws {
      try convolution_t(
        n: int32(n), h: int32(h), w: int32(w), c: int32(c), k: int32(k), p: int32(p), q: int32(q), r: int32(r), s: int32(s),
        stride: int32(stride), groups: int32(groups), padTop: int32(padTop), padLeft: int32(padLeft), yImage: int32(yImage),
        yRow: int32(yRow), yColumn: int32(yColumn), yStart: int32(yStart), wStart: int32(wStart))
    }
  }
}

/// One axis of one phase of a strided convolution's input gradient.
///
/// Input positions i with (i + padding) mod stride = phase meet only the taps phase, phase + stride, …
struct PhaseAxis: Hashable {
  /// First tap, and number of taps.
  let firstTap, taps: Int
  /// First input position of the phase, and number of its positions.
  let first, outputs: Int
  /// Zero padding before dy that the phase's convolution with the reversed taps needs.
  let padding: Int

  init(phase: Int, size: Int, window: Int, stride: Int, padding: Int) {
    firstTap = phase
    taps = phase < window ? (window - 1 - phase) / stride + 1 : 0
    first = ((phase - padding) % stride + stride) % stride
    outputs = first < size ? (size - 1 - first) / stride + 1 : 0
    // Input position first + stride·t meets dy at t + base − i for the i-th tap.
    let base = (first + padding - phase) / stride
    self.padding = taps - 1 - base
  }

  /// Whether the phase has taps and positions that they meet.
  var isUsed: Bool { taps > 0 && outputs > 0 }

  static func all(size: Int, window: Int, stride: Int, padding: Int) -> [PhaseAxis] {
    (0..<stride).map { PhaseAxis(phase: $0, size: size, window: window, stride: stride, padding: padding) }
  }
}

extension Conv2D {
  /// Convolution with the same sums, but with all pixels of all images in rows of a convenient length, if the filter is a single
  /// tap that meets every pixel. Otherwise this convolution itself.
  var flattened: Conv2D {
    guard r == 1 && s == 1 && stride == 1 && padding == 0 && groups == 1 else { return self }
    let pixels = n * h * w
    // A row of input stays within 256 KB. Tiles of 14 pixels divide multiples of 14 evenly.
    let longest = min(pixels, max(28, min(128, (64 << 10) / max(c, k))))
    let lengths = (min(28, pixels)...longest).filter { pixels % $0 == 0 }
    guard let length = lengths.last(where: { $0 % 14 == 0 }) ?? lengths.last else { return self }
    return Conv2D(input: [1, pixels / length, length, c], filter: filter)
  }
}
