/// One dimension of a sliding window in its general form: with dilation, and with padding of its own before and after.
public struct SlidingAxis: Hashable, Sendable {
  /// Pixels of the input; taps of the window, and the distances between windows and between taps.
  public let input, window, stride, dilation: Int
  /// Pixels of padding.
  public let before, after: Int
  /// Windows.
  public let output: Int

  /// - Parameter coversRest: whether pixels that are left over behind the last whole window, or where there is none, get one more,
  ///   which reaches beyond the padding, if it begins before it.
  /// - Precondition: everything is positive or, for padding, not negative.
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
      // Rounded up, which for what is negative division does of itself.
      let count = max(0, (room > 0 ? room + stride - 1 : room) / stride + 1)
      output = (count - 1) * stride >= input + before ? count - 1 : count
    } else {
      output = room < 0 ? 0 : room / stride + 1
    }
  }

  /// Whether there is a window of which no tap is a pixel of the input.
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

/// Pooling in its general form, for inference: [N,H,W,C] → [N,P,Q,C].
public struct WindowPool: Hashable, Sendable {
  /// What is taken of a window.
  public enum Kind: Hashable, Sendable {
    /// A NaN wins. Padding takes no part; a window of nothing else gives −∞.
    case largest
    /// Over the pixels alone, or over those and the padding's zeros; never over what lies beyond the padding.
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

  /// The same of so many images.
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
