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

  @Option(
    help: ArgumentHelp(
      "Instead of --resize, the crop's share of the shorter side (timm's crop_pct).", valueName: "0.95", visibility: .hidden))
  var cropFraction: Double?

  @Option(
    help: ArgumentHelp(
      "Interpolation for resizing photographs: bilinear or bicubic. Default: bilinear.", visibility: .hidden))
  var interpolation: Interpolation?

  func validate() throws {
    try requireSizes(["--resize": resize], in: 1...EvaluationRecipe.largestResize)
    if resize != nil && cropFraction != nil { throw ValidationError("--resize and --crop-fraction say the same: leave one out") }
    if recipe?.isPossible == false {
      throw ValidationError("--crop-fraction \(cropFraction ?? 0): it must be above 0 and at most 1")
    }
  }

  /// Recipe of the options; nil if none was given.
  var recipe: EvaluationRecipe? {
    given.isEmpty ? nil : EvaluationRecipe(resize: resize, cropFraction: cropFraction, interpolation: interpolation)
  }
}
