import ArgumentParser
import Compute
import Images

extension Interpolation: ExpressibleByArgument {}

/// `--resize`, `--crop-fraction` and `--interpolation`, of the commands that measure on photographs, and those that note how it is done.
struct ResizeOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The shorter side of photographs before the center is cut out, as torchvision's resize_size. Default: 256 for 224, or in proportion.",
      valueName: "pixels"))
  var resize: Int?

  @Option(help: ArgumentHelp("In its stead the crop's share of the shorter side, as timm's crop_pct.", valueName: "0.95"))
  var cropFraction: Double?

  @Option(help: "How photographs are resized: bilinear or bicubic. Default: bilinear.")
  var interpolation: Interpolation?

  /// The name of an option that was given.
  var given: String? {
    resize != nil ? "--resize" : cropFraction != nil ? "--crop-fraction" : interpolation != nil ? "--interpolation" : nil
  }

  func validate() throws {
    try requireSizes(["--resize": resize], in: 1...EvaluationRecipe.largestResize)
    if resize != nil && cropFraction != nil { throw ValidationError("--resize and --crop-fraction say the same: leave one out") }
    if !recipe.isPossible { throw ValidationError("--crop-fraction \(cropFraction ?? 0): it must be above 0 and at most 1") }
  }

  /// The recipe of the options.
  private var recipe: EvaluationRecipe {
    EvaluationRecipe(resize: resize, cropFraction: cropFraction, interpolation: interpolation)
  }

  /// The recipe of the options, and where they say nothing, the one that is known of a network.
  /// - Parameters:
  ///   - known: how its photographs are prepared; nil where nothing says it.
  ///   - trained: height and width of its images; nil where they are not known.
  ///   - crop: pixels along the sides of the crop.
  /// - Returns: nil where nothing says it.
  /// - Throws: a usage error where options ask for the impossible; ``Failure`` where what is known is impossible.
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
