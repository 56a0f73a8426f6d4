import Support

/// Recipe for the preparation of photographs for evaluation: their size before the center crop, and the interpolation of the
/// resize. Values that are not set have the usual defaults: 256 pixels for a crop of 224, or that proportion, and bilinear.
///
/// ```swift
/// let recipe = EvaluationRecipe(resize: 232, interpolation: .bicubic)
/// let flowers = try DatasetKind.folder.open(from: "flowers", imageSize: 224, evaluation: recipe)
/// ```
public struct EvaluationRecipe: Hashable, Codable, Sendable {
  /// Length of the shorter side in pixels before the crop, torchvision's `resize_size`; nil for the usual proportion or
  /// ``cropFraction``.
  public var resize: Int?
  /// Side of the crop over the shorter side, timm's `crop_pct`; nil if ``resize`` or the usual proportion determines it.
  public var cropFraction: Double?
  /// Interpolation of the resize; nil for bilinear.
  public var interpolation: Interpolation?

  /// Largest length of a shorter side, in pixels.
  public static let largestResize = 1 << 14

  /// Creates a recipe with the given values. The others are not set.
  public init(resize: Int? = nil, cropFraction: Double? = nil, interpolation: Interpolation? = nil) {
    (self.resize, self.cropFraction, self.interpolation) = (resize, cropFraction, interpolation)
  }

  /// Whether it sets the size of images before the crop.
  public var saysSize: Bool { resize != nil || cropFraction != nil }

  /// Whether the values are valid by themselves.
  public var isPossible: Bool {
    (resize.map { (1...Self.largestResize).contains($0) } ?? true) && (cropFraction.map { $0 > 0 && $0 <= 1 } ?? true)
      && (resize == nil || cropFraction == nil)
  }

  /// Returns this recipe, with the values of another recipe where this one has none.
  public func completed(by other: EvaluationRecipe) -> EvaluationRecipe {
    var recipe = saysSize ? self : EvaluationRecipe(resize: other.resize, cropFraction: other.cropFraction)
    recipe.interpolation = interpolation ?? other.interpolation
    return recipe
  }

  /// Returns this recipe for another crop size: the size before the crop changes in proportion, rounded.
  public func scaled(from crop: Int, to other: Int) -> EvaluationRecipe {
    var recipe = self
    recipe.resize = resize.map { crop == other ? $0 : Int((Double($0) * Double(other) / Double(crop)).rounded()) }
    return recipe
  }

  /// Returns the transform for a crop of `crop` pixels along a side. If a crop fraction is set, the shorter side is rounded
  /// down, as in timm.
  /// - Throws: a ``Failure`` if the values are invalid, or if the resized image is smaller than the crop or too large.
  public func transform(crop: Int) throws -> EvaluationTransform {
    guard isPossible else {
      throw Failure(
        .invalidSetting, "no images are resized to \(resize ?? 0) pixels, or for a crop of \(cropFraction ?? 0) of them")
    }
    let side = cropFraction.map { (Double(crop) / $0).rounded(.down) } ?? resize.map(Double.init)
    guard let side else { return .usual(crop: crop, interpolation: interpolation ?? .bilinear) }
    guard side >= Double(crop) else {
      throw Failure(
        .invalidSetting,
        "a crop of \(crop) pixels cannot be cut from images whose shorter side is resized to \(Int(side)): it must be \(crop) or "
          + "more")
    }
    guard side <= Double(Self.largestResize) else {
      throw Failure(
        .invalidSetting, "for a crop of \(crop) pixels the shorter side would be resized to more than \(Self.largestResize)")
    }
    return EvaluationTransform(resize: Int(side), crop: crop, interpolation: interpolation ?? .bilinear)
  }
}
