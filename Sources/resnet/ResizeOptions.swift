import ArgumentParser
import Compute
import Images
import Support

extension Interpolation: ExpressibleByArgument {}

/// Options `--resize`, `--crop-fraction` and `--interpolation`, for the commands that measure on photographs and those that
/// record how it is done.
struct ResizeOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Shorter side of photographs before the center crop (torchvision's resize_size). Default: 256 for 224, or in proportion.",
      valueName: "pixels"))
  var resize: Int?

  @Option(help: ArgumentHelp("Instead of --resize, the crop's share of the shorter side (timm's crop_pct).", valueName: "0.95"))
  var cropFraction: Double?

  @Option(help: "Interpolation for resizing photographs: bilinear or bicubic. Default: bilinear.")
  var interpolation: Interpolation?

  /// Name of an option that was given.
  var given: String? {
    resize != nil ? "--resize" : cropFraction != nil ? "--crop-fraction" : interpolation != nil ? "--interpolation" : nil
  }

  func validate() throws {
    try requireSizes(["--resize": resize], in: 1...EvaluationRecipe.largestResize)
    if resize != nil && cropFraction != nil { throw ValidationError("--resize and --crop-fraction say the same: leave one out") }
    if !recipe.isPossible { throw ValidationError("--crop-fraction \(cropFraction ?? 0): it must be above 0 and at most 1") }
  }

  /// Recipe of the options.
  private var recipe: EvaluationRecipe {
    EvaluationRecipe(resize: resize, cropFraction: cropFraction, interpolation: interpolation)
  }

  /// Returns the recipe of the options, completed by the recipe that is known for a network.
  /// - Parameters:
  ///   - known: recipe for the network's photographs; nil if it is not known.
  ///   - trained: height and width of the network's training images; nil if they are not known.
  ///   - crop: side of the crop in pixels.
  /// - Returns: the recipe; nil if there is neither an option nor a known recipe.
  /// - Throws: a usage error if the options ask for the impossible; ``Failure`` if the known recipe is impossible.
  func recipe(completedBy known: EvaluationRecipe?, trainedOn trained: [Int]?, crop: Int) throws -> EvaluationRecipe? {
    let usual = known?.scaled(from: trained?.first ?? crop, to: crop)
    guard let usual else { return given == nil ? nil : try checked(recipe, crop) }
    return try checked(recipe.completed(by: usual), crop)
  }

  private func checked(_ recipe: EvaluationRecipe, _ crop: Int) throws -> EvaluationRecipe {
    do { _ = try recipe.transform(crop: crop) } catch let failure as Failure {
      throw given == "--resize" || given == "--crop-fraction" ? usageError("\(given ?? ""): \(failure)") : failure
    }
    return recipe
  }
}
