import Compute
import Support

/// Windows of a convolution or pooling, which slide over the dimensions of an image, [N,C,H,W], or over those of a row of pixels,
/// [N,C,W], which counts as an image of one row.
struct Windows {
  let rows, columns: SlidingAxis
  /// Whether the values are [N,C,W].
  let isRow: Bool

  /// - Parameters:
  ///   - shape: shape of the input.
  ///   - window: height and width of a window, or only its width.
  /// - Throws: ``Failure`` if attributes are out of range or the image is too small.
  init(_ node: Node, _ shape: [Int], window: [Int]) throws {
    guard shape.count == 3 || shape.count == 4 else {
      throw Failure(.unsupported, "its input is \(describe(shape)), and images [N, C, H, W] and rows [N, C, W] are supported")
    }
    let sizes = Array(shape[2...])
    let most = 1 << 20
    guard window.count == sizes.count, window.allSatisfy({ (1...most).contains($0) }) else {
      throw Failure(.damagedFile, "a window \(describe(window)) slides over \(describe(shape))")
    }
    let strides = try node.ints("strides", count: sizes.count, in: 1...most, default: 1)
    let dilations = try node.ints("dilations", count: sizes.count, in: 1...most, default: 1)
    let pads = try node.ints("pads", count: 2 * sizes.count, in: 0...most, default: 0)
    let automatic = try node.string("auto_pad", default: "NOTSET")
    let coversRest = try node.flag("ceil_mode")
    var axes = try sizes.indices.map { i in
      let reach = (window[i] - 1) * dilations[i] + 1
      var (before, after) = (pads[i], pads[i + sizes.count])
      switch automatic {
      case "NOTSET", "": break
      case "VALID": (before, after) = (0, 0)
      case "SAME_UPPER", "SAME_LOWER":
        // The number of windows is the size over the stride, rounded up, with enough padding for them.
        let total = max(((sizes[i] + strides[i] - 1) / strides[i] - 1) * strides[i] + reach - sizes[i], 0)
        before = automatic == "SAME_UPPER" ? total / 2 : total - total / 2
        after = total - before
      default: throw Failure(.damagedFile, "auto_pad '\(automatic.prefix(20))' is not known")
      }
      return SlidingAxis(
        input: sizes[i], window: window[i], stride: strides[i], dilation: dilations[i], before: before, after: after,
        coversRest: coversRest)
    }
    guard axes.allSatisfy({ $0.output > 0 }) else {
      throw Failure(.mismatch, "\(describe(shape)) is too small for a window \(describe(window))")
    }
    isRow = axes.count == 1
    if isRow { axes.insert(SlidingAxis(input: 1, window: 1), at: 0) }
    (rows, columns) = (axes[0], axes[1])
  }

  /// Order of the dimensions of images in memory, [N,H,W,C].
  static let order = [0, 2, 3, 1]

  /// Returns the input as images in the order that the device's operations need.
  func images(_ x: Computed, _ planner: Planner) throws -> Computed {
    try planner.arranged(isRow ? x.inserting(2) : x, Self.order)
  }

  /// Makes the result, with `channels` channels.
  func output(of x: Computed, channels: Int, _ planner: Planner) throws -> Computed {
    try planner.new([x.shape[0], channels, rows.output, columns.output], order: Self.order)
  }

  /// Returns the result in the shape that the graph has for it.
  func result(_ y: Computed) -> Computed { isRow ? y.removing(2) : y }
}
