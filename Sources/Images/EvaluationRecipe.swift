import Compute

/// A recipe by which photographs are prepared for measuring: how large they are before the crop of the center, and how they are
/// resized. Where it says nothing, the usual holds: 256 pixels for a crop of 224, or in that proportion, and bilinear.
public struct EvaluationRecipe: Hashable, Codable, Sendable {
  /// Pixels of the shorter side before the crop, torchvision's `resize_size`; nil for the usual proportion or ``cropFraction``.
  public var resize: Int?
  /// The crop's side over the shorter side, timm's `crop_pct`; nil where ``resize`` or the usual proportion says it.
  public var cropFraction: Double?
  /// Manner of resizing; nil for bilinear.
  public var interpolation: Interpolation?

  /// The most that a shorter side may be, in pixels.
  public static let largestResize = 1 << 14

  /// Says nothing, or what is given.
  public init(resize: Int? = nil, cropFraction: Double? = nil, interpolation: Interpolation? = nil) {
    (self.resize, self.cropFraction, self.interpolation) = (resize, cropFraction, interpolation)
  }

  /// Whether it says how large images are before the crop.
  public var saysSize: Bool { resize != nil || cropFraction != nil }

  /// Whether the numbers make sense by themselves.
  public var isPossible: Bool {
    (resize.map { (1...Self.largestResize).contains($0) } ?? true) && (cropFraction.map { $0 > 0 && $0 <= 1 } ?? true)
      && (resize == nil || cropFraction == nil)
  }

  /// This recipe, with what another says where this one says nothing.
  public func completed(by other: EvaluationRecipe) -> EvaluationRecipe {
    var recipe = saysSize ? self : EvaluationRecipe(resize: other.resize, cropFraction: other.cropFraction)
    recipe.interpolation = interpolation ?? other.interpolation
    return recipe
  }

  /// This recipe for another crop: pixels before the crop change in proportion, rounded.
  public func scaled(from crop: Int, to other: Int) -> EvaluationRecipe {
    var recipe = self
    recipe.resize = resize.map { crop == other ? $0 : Int((Double($0) * Double(other) / Double(crop)).rounded()) }
    return recipe
  }

  /// The transform for a crop of so many pixels along a side. Of a fraction the shorter side is rounded down, as timm does it.
  /// - Throws: a ``Failure`` where the crop is larger than what it is cut from, or that is too large.
  public func transform(crop: Int) throws -> EvaluationTransform {
    guard isPossible else {
      throw Failure("no images are resized to \(resize ?? 0) pixels, or for a crop of \(cropFraction ?? 0) of them")
    }
    let side = cropFraction.map { (Double(crop) / $0).rounded(.down) } ?? resize.map(Double.init)
    guard let side else { return .usual(crop: crop, interpolation: interpolation ?? .bilinear) }
    guard side >= Double(crop) else {
      throw Failure(
        "a crop of \(crop) pixels cannot be cut from images whose shorter side is resized to \(Int(side)): it must be \(crop) or more"
      )
    }
    guard side <= Double(Self.largestResize) else {
      throw Failure("for a crop of \(crop) pixels the shorter side would be resized to more than \(Self.largestResize)")
    }
    return EvaluationTransform(resize: Int(side), crop: crop, interpolation: interpolation ?? .bilinear)
  }
}
