/// Method of bringing a photograph to the size that a network takes.
public enum ImagePreparation: Sendable, Hashable {
  /// Resizes the shorter side and cuts out the center, as in the evaluation of networks that were trained on photographs.
  case center(EvaluationTransform)
  /// Resizes the shorter side and stacks the crops of the four corners and the center.
  case fiveCrops(FiveCrops)
  /// Resizes the whole image, as the pictures of a data set of small images show the whole of it too.
  case whole(WholeImageTransform)

  /// Transform that prepares images in this way.
  public var transform: any ImageTransform {
    switch self {
    case .center(let evaluation): evaluation
    case .fiveCrops(let crops): crops
    case .whole(let whole): whole
    }
  }
}
