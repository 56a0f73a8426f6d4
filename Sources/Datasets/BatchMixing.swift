import Compute
import Glibc
import Images

/// Each image of a batch is mixed with the one before it, the first with the last, and their labels with it, all by the same share:
/// mixup adds the images up (Zhang et al. 2017), cutmix puts a rectangle of the other into it (Yun et al. 2019). As torchvision's
/// `MixUp` and `CutMix`.
public struct BatchMixing: Hashable, Codable, Sendable {
  /// The share is of Beta(α, α); nil where a batch is never mixed this way. With both, each batch takes one or the other.
  public var mixup, cutmix: Double?

  /// - Parameters:
  ///   - mixup: α of mixup's share, above 0; nil for none.
  ///   - cutmix: the same of cutmix.
  public init(mixup: Double? = nil, cutmix: Double? = nil) {
    self.mixup = mixup
    self.cutmix = cutmix
  }

  /// Beyond these, Beta(α, α) is 0 or 1, or ½, and nothing else.
  static let alphas = 1e-6...1e6

  /// How a batch is mixed.
  public struct Draw: Hashable, Sendable {
    /// The image's own share of its pixels outside the box, and of its label, in 2^24ths.
    public let pixelShare, labelShare: Int
    /// What shows the other image alone; may be empty.
    public let box: PixelArea

    /// Images as they are.
    public static let none = Draw(
      pixelShare: BatchPlan.wholeShare, labelShare: BatchPlan.wholeShare, box: PixelArea(top: 0, left: 0, height: 0, width: 0))
  }

  /// The draw for a batch in an epoch, a function of the numbers.
  public func draw(seed: UInt64, epoch: Int, batch: Int, height: Int, width: Int) -> Draw {
    var random = Philox(seed: seed, stream: RandomStream.mixing, epoch: epoch, sample: batch)
    let cuts = cutmix != nil && (mixup == nil || random.below(2) == 1)
    guard let alpha = cuts ? cutmix : mixup else { return .none }
    let share = Self.beta(alpha, &random)
    if cuts { return Self.cut(share, height, width, &random) }
    return Draw(pixelShare: Self.fixed(share), labelShare: Self.fixed(share), box: Draw.none.box)
  }

  /// A rectangle of 1 − share of the area about any pixel, cut off at the edges; the label's share is what is left of the image.
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

  /// X/(X + Y) of two Gamma(α) variables, by their logarithms, as both are 0 in floating point where α is small.
  static func beta(_ alpha: Double, _ random: inout Philox) -> Double {
    let (first, second) = (logGamma(alpha, &random), logGamma(alpha, &random))
    return 1 / (1 + exp(second - first))
  }

  /// The logarithm of a Gamma(α) variable: that of Gamma(α + 1) by Marsaglia and Tsang's method (2000), times U^(1/α).
  private static func logGamma(_ alpha: Double, _ random: inout Philox) -> Double {
    func positive() -> Double { (Double(random.next() >> 11) + 0.5) * 0x1p-53 }
    let d = alpha + 1 - 1 / 3.0
    let c = 1 / (9 * d).squareRoot()
    while true {
      // A normal variable by Box and Muller.
      let x = (-2 * log(positive())).squareRoot() * cos(2 * Double.pi * positive())
      let v = (1 + c * x) * (1 + c * x) * (1 + c * x)
      guard v > 0, log(positive()) < 0.5 * x * x + d - d * v + d * log(v) else { continue }
      return log(d * v) + log(positive()) / alpha
    }
  }
}
