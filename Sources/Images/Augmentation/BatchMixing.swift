import Compute
import Glibc
import Support

/// Mixing of each image of a batch with the one before it, and of the first with the last. Their labels are mixed with them,
/// and the share is the same for the whole batch. Mixup adds the images up (Zhang et al. 2017). Cutmix puts a rectangle of
/// the other image into each (Yun et al. 2019). Both work as torchvision's `MixUp` and `CutMix`.
///
/// ```swift
/// let mixing = BatchMixing(mixup: 0.2, cutmix: 1)
/// ```
public struct BatchMixing: Hashable, Codable, Sendable {
  /// Parameter α of each method: the share is drawn from Beta(α, α). Nil if batches are never mixed in this way. With both set,
  /// each batch uses one of them.
  public var mixup, cutmix: Double?

  /// - Parameters:
  ///   - mixup: α of mixup's share, above 0; nil for none.
  ///   - cutmix: α of cutmix's share, above 0; nil for none.
  public init(mixup: Double? = nil, cutmix: Double? = nil) {
    self.mixup = mixup
    self.cutmix = cutmix
  }

  /// Allowed values of α. Below them, Beta(α, α) is only 0 or 1; above them, it is only ½.
  static let alphas = 1e-6...1e6

  /// Mixture of a batch.
  public struct Draw: Hashable, Sendable {
    /// Share of the image's own pixels outside the box, and share of its own label, in 2^24ths.
    public let pixelShare, labelShare: Int
    /// Rectangle that shows only the other image; may be empty.
    public let box: PixelArea

    /// Draw that leaves images unchanged.
    public static let none = Draw(
      pixelShare: BatchPlan.wholeShare, labelShare: BatchPlan.wholeShare, box: PixelArea(top: 0, left: 0, height: 0, width: 0))
  }

  /// Returns the draw for a batch in an epoch: a function of the arguments.
  public func draw(seed: UInt64, epoch: Int, batch: Int, height: Int, width: Int) -> Draw {
    var random = Philox(seed: seed, stream: RandomStream.mixing, epoch: epoch, sample: batch)
    let cuts = cutmix != nil && (mixup == nil || random.below(2) == 1)
    guard let alpha = cuts ? cutmix : mixup else { return .none }
    let share = Self.beta(alpha, &random)
    if cuts { return Self.cut(share, height, width, &random) }
    return Draw(pixelShare: Self.fixed(share), labelShare: Self.fixed(share), box: Draw.none.box)
  }

  /// Draws a rectangle of 1 − share of the area around any pixel, cut off at the edges. The label's share is the part of the
  /// image that is left.
  private static func cut(_ share: Double, _ height: Int, _ width: Int, _ random: inout Philox) -> Draw {
    let (x, y) = (random.below(width), random.below(height))
    let side = 0.5 * (1 - share).squareRoot()
    let (halfWidth, halfHeight) = (Int(side * Double(width)), Int(side * Double(height)))
    let (left, top) = (max(0, x - halfWidth), max(0, y - halfHeight))
    let (right, bottom) = (min(width, x + halfWidth), min(height, y + halfHeight))
    let box = PixelArea(top: top, left: left, height: bottom - top, width: right - left)
    return Draw(
      pixelShare: BatchPlan.wholeShare, labelShare: fixed(1 - Double(box.height * box.width) / Double(height * width)), box: box)
  }

  private static func fixed(_ share: Double) -> Int { Int((share * Double(BatchPlan.wholeShare)).rounded()) }

  /// Returns X/(X + Y) for two Gamma(α) variables. It uses their logarithms, as both are 0 in floating point if α is small.
  static func beta(_ alpha: Double, _ random: inout Philox) -> Double {
    let (first, second) = (logGamma(alpha, &random), logGamma(alpha, &random))
    return 1 / (1 + exp(second - first))
  }

  /// Returns the logarithm of a Gamma(α) variable: Gamma(α + 1) by Marsaglia and Tsang's method (2000), times U^(1/α).
  private static func logGamma(_ alpha: Double, _ random: inout Philox) -> Double {
    func positive() -> Double { (Double(random.next() >> 11) + 0.5) * 0x1p-53 }
    let d = alpha + 1 - 1 / 3.0
    let c = 1 / (9 * d).squareRoot()
    while true {
      // Normal variable by the method of Box and Muller.
      let x = (-2 * log(positive())).squareRoot() * cos(2 * Double.pi * positive())
      let v = (1 + c * x) * (1 + c * x) * (1 + c * x)
      guard v > 0, log(positive()) < 0.5 * x * x + d - d * v + d * log(v) else { continue }
      return log(d * v) + log(positive()) / alpha
    }
  }
}
