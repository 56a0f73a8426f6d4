/// One dimension of a general sliding window, with dilation and with separate padding before and after.
public struct SlidingAxis: Hashable, Sendable {
  /// Number of input pixels, number of window taps, distance between windows, and distance between taps.
  public let input, window, stride, dilation: Int
  /// Padding in pixels before and after the input.
  public let before, after: Int
  /// Number of windows.
  public let output: Int

  /// - Parameter coversRest: whether pixels that remain behind the last whole window, or remain because no whole window fits, get
  ///   one more window (ceil mode). This window may reach beyond the padding, but it must begin before the padding behind the
  ///   input.
  /// - Precondition: all sizes are positive; paddings are not negative.
  public init(
    input: Int, window: Int, stride: Int = 1, dilation: Int = 1, before: Int = 0, after: Int = 0, coversRest: Bool = false
  ) {
    precondition(
      input > 0 && window > 0 && stride > 0 && dilation > 0 && before >= 0 && after >= 0,
      "[SlidingAxis] \(input), window \(window), stride \(stride), dilation \(dilation), padding \(before) and \(after)")
    (self.input, self.window, self.stride, self.dilation, self.before, self.after) = (
      input, window, stride, dilation, before, after
    )
    let room = input + before + after - ((window - 1) * dilation + 1)
    if coversRest {
      // Rounds up. Division truncates, which already rounds a negative quotient up.
      let count = max(0, (room > 0 ? room + stride - 1 : room) / stride + 1)
      output = (count - 1) * stride >= input + before ? count - 1 : count
    } else {
      output = room < 0 ? 0 : room / stride + 1
    }
  }

  /// Whether some window has no tap on an input pixel.
  public var hasEmptyWindow: Bool {
    (0..<output).contains { index in
      let start = index * stride - before
      let firstTap = start >= 0 ? 0 : (dilation - 1 - start) / dilation
      return firstTap >= window || start + firstTap * dilation >= input
    }
  }
}

extension SlidingAxis: CustomStringConvertible {
  /// For example `17 → 9 by 3, stride 2, dilation 1, padding 1, 1`.
  public var description: String {
    "\(input) → \(output) by \(window), stride \(stride), dilation \(dilation), padding \(before), \(after)"
  }
}

/// General pooling for inference: [N,H,W,C] → [N,P,Q,C].
public struct WindowPool: Hashable, Sendable {
  /// The reduction over a window.
  public enum Kind: Hashable, Sendable {
    /// Maximum. A NaN wins. Padding takes no part; a window of padding alone gives −∞.
    case largest
    /// Mean over the input pixels alone, or over the pixels and the zeros of the padding. Positions beyond the padding never
    /// count.
    case average(countingPadding: Bool)
  }

  public let n, c: Int
  public let rows, columns: SlidingAxis
  public let kind: Kind

  /// - Precondition: all sizes are positive.
  public init(n: Int, c: Int, rows: SlidingAxis, columns: SlidingAxis, kind: Kind) {
    precondition(n > 0 && c > 0 && rows.output > 0 && columns.output > 0, "[pool] \(n), \(c), \(rows), \(columns)")
    (self.n, self.c, self.rows, self.columns, self.kind) = (n, c, rows, columns, kind)
  }

  public var input: Shape { [n, rows.input, columns.input, c] }
  public var output: Shape { [n, rows.output, columns.output, c] }

  /// Returns the same pooling for a batch of `images` images.
  public func batch(of images: Int) -> WindowPool {
    WindowPool(n: images, c: c, rows: rows, columns: columns, kind: kind)
  }
}

extension WindowPool: CustomStringConvertible {
  /// For example `largest 2×16, rows 17 → 9 by 3, …, columns …`.
  public var description: String {
    let name =
      switch kind {
      case .largest: "largest"
      case .average(let countingPadding): countingPadding ? "average with padding" : "average"
      }
    return "\(name) \(n)×\(c), rows \(rows), columns \(columns)"
  }
}
