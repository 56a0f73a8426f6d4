/// A two-dimensional convolution (cross-correlation, as every deep-learning library defines it): input, filter and output sizes.
///
///     y[n,p,q,k] = Σ_{r,s,c} x[n, p·stride + r − padding, q·stride + s − padding, c] · w[r,s,c,k]
///
/// x is zero outside its borders. With groups, the channels of x and of y are divided into `groups` runs of equal length. c then
/// iterates over the run of x that belongs to the run of y with channel k, and w is [R,S,C/groups,K].
///
/// ```swift
/// let geometry = Conv2D(input: [8, 32, 32, 3], filter: [3, 3, 3, 16], stride: 2, padding: 1)
/// print(geometry.output)  // [8, 16, 16, 16]
/// ```
public struct Conv2D: Hashable, Sendable {
  /// Number of images, input height, input width, number of input channels.
  public let n, h, w, c: Int
  /// Number of output channels, filter height, filter width.
  public let k, r, s: Int
  public let stride, padding: Int
  /// Number of groups of channels. Each group is convolved separately (Krizhevsky et al. 2012; Xie et al. 2017, ResNeXt).
  public let groups: Int
  /// Output height and width.
  public let p, q: Int

  /// - Precondition: all sizes are positive, the padded input is at least as large as the filter, and `groups` divides the
  ///   numbers of input and output channels.
  public init(input: Shape, filter: Shape, stride: Int = 1, padding: Int = 0, groups: Int = 1) {
    precondition(input.rank == 4 && filter.rank == 4, "[conv2D] input \(input), filter \(filter): both need four dimensions")
    precondition(groups > 0 && filter[3] % groups == 0, "[conv2D] \(groups) groups of filter \(filter)")
    let channels = filter[2] * groups
    precondition(input[3] == channels, "[conv2D] input \(input) has \(input[3]) channels, filter \(filter) wants \(channels)")
    precondition(stride > 0 && padding >= 0, "[conv2D] stride \(stride), padding \(padding)")
    (n, h, w, c) = (input[0], input[1], input[2], input[3])
    (r, s, k) = (filter[0], filter[1], filter[3])
    (self.stride, self.padding, self.groups) = (stride, padding, groups)
    p = Window.outputSize(input: h, window: r, stride: stride, padding: padding)
    q = Window.outputSize(input: w, window: s, stride: stride, padding: padding)
    precondition(n > 0 && k > 0 && c > 0 && p > 0 && q > 0, "[conv2D] input \(input) is too small for filter \(filter)")
  }

  public var input: Shape { [n, h, w, c] }
  public var filter: Shape { [r, s, groupC, k] }
  public var output: Shape { [n, p, q, k] }
  /// Multiply-accumulates of one pass. Taps on the zero border count too, as in every published table.
  public var macs: Int { n * p * q * k * r * s * groupC }
  /// Number of input channels per group.
  public var groupC: Int { c / groups }
  /// Number of output channels per group.
  public var groupK: Int { k / groups }

  /// Returns the same convolution for a batch of `images` images.
  public func batch(of images: Int) -> Conv2D {
    Conv2D(input: [images, h, w, c], filter: filter, stride: stride, padding: padding, groups: groups)
  }
}

extension Conv2D: CustomStringConvertible {
  /// For example `2×17×17×33 → 9×9×16, 3×3 stride 2 padding 1`. With several groups, `, 4 groups` follows.
  public var description: String {
    "\(n)×\(h)×\(w)×\(c) → \(p)×\(q)×\(k), \(r)×\(s) stride \(stride) padding \(padding)"
      + (groups == 1 ? "" : ", \(groups) groups")
  }
}

/// A pooling window that slides over [N, H, W, C].
///
/// ```swift
/// let geometry = Pool2D(input: [8, 32, 32, 16], window: 3, stride: 2, padding: 1)
/// print(geometry.output)  // [8, 16, 16, 16]
/// ```
public struct Pool2D: Hashable, Sendable {
  public let n, h, w, c: Int
  /// Side of the square window.
  public let window: Int
  public let stride, padding: Int
  public let p, q: Int

  /// - Precondition: padding is at most half the window, so that no window lies wholly outside the image, and a position in the
  ///   window fits into a byte.
  public init(input: Shape, window: Int, stride: Int, padding: Int = 0) {
    precondition(input.rank == 4 && stride > 0, "[pool2D] input \(input), stride \(stride)")
    precondition(padding >= 0 && 2 * padding <= window, "[pool2D] padding \(padding) is more than half the window \(window)")
    precondition(window * window <= 256, "[pool2D] a window of \(window)×\(window) does not fit a byte")
    (n, h, w, c) = (input[0], input[1], input[2], input[3])
    (self.window, self.stride, self.padding) = (window, stride, padding)
    p = Window.outputSize(input: h, window: window, stride: stride, padding: padding)
    q = Window.outputSize(input: w, window: window, stride: stride, padding: padding)
    precondition(n > 0 && c > 0 && p > 0 && q > 0, "[pool2D] input \(input) is too small for a window of \(window)")
  }

  public var input: Shape { [n, h, w, c] }
  public var output: Shape { [n, p, q, c] }

  /// Returns the same pooling for a batch of `images` images.
  public func batch(of images: Int) -> Pool2D {
    Pool2D(input: [images, h, w, c], window: window, stride: stride, padding: padding)
  }
}

extension Pool2D: CustomStringConvertible {
  /// For example `2×17×17×16 → 9×9, window 3 stride 2 padding 1`.
  public var description: String { "\(n)×\(h)×\(w)×\(c) → \(p)×\(q), window \(window) stride \(stride) padding \(padding)" }
}

/// Namespace for the computation of a sliding window's output size.
public enum Window {
  /// Returns ⌊(input + 2·padding − window) / stride⌋ + 1, or 0 if the window does not fit.
  public static func outputSize(input: Int, window: Int, stride: Int, padding: Int) -> Int {
    let room = input + 2 * padding - window
    return room < 0 ? 0 : room / stride + 1
  }
}
