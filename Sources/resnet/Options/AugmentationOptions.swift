import ArgumentParser
import Compute
import Datasets
import Images
import Support
import Training

extension ColorJitter {
  /// Parses `B,C,S,H`; numbers that are left out at the end are 0.
  /// - Throws: ``Failure`` for anything but one to four numbers.
  init(parsing text: String) throws {
    let parts = text.split(separator: ",", omittingEmptySubsequences: false)
    let values = parts.compactMap { Double($0) }
    guard values.count == parts.count, (1...4).contains(values.count) else {
      throw Failure(
        .invalidSetting, "'\(text)' is not brightness,contrast,saturation,hue, for example 0.4,0.4,0.4,0.1")
    }
    let all = values + [Double](repeating: 0, count: 4 - values.count)
    self.init(brightness: all[0], contrast: all[1], saturation: all[2], hue: all[3])
  }
}

/// Value of `--flip`.
enum FlipOption: String, CaseIterable, ExpressibleByArgument {
  case random, alternate, none

  /// The value that makes an augmentation mirror images as it does.
  init(_ augmentation: Augmentation) {
    guard augmentation.flip else {
      self = .none
      return
    }
    switch augmentation.flipRule {
    case nil: self = .random
    case .alternate: self = .alternate
    }
  }

  /// Sets which images are mirrored.
  func apply(to augmentation: inout Augmentation) {
    augmentation.flip = self != .none
    augmentation.flipRule = self == .alternate ? .alternate : nil
  }
}

/// Options of the data augmentation of training images.
struct AugmentationOptions: ParsableArguments {
  @Flag(inversion: .prefixedNo, exclusivity: .exclusive, help: "Random crops and flips. Default: those that suit the data set.")
  var augment: Bool?
  @Option(
    help: ArgumentHelp(
      "Random crops of the image with this many pixels of zeros on every side; for 'folder' they replace crops of random size.",
      valueName: "pixels"))
  var cropPadding: Int?
  @Option(
    help: """
      Mirror images: random (half of them in each epoch), alternate (half of them in the first epoch, then always those that \
      were not mirrored in the epoch before) or none. Default: what suits the data set.
      """)
  var flip: FlipOption?
  @Option(
    help: ArgumentHelp(
      "Random brightness, contrast, saturation and hue, for example 0.4,0.4,0.4,0.1; values left out at the end are 0.",
      valueName: "b,c,s,h"),
    transform: ColorJitter.init(parsing:))
  var colorJitter: ColorJitter?
  @Flag(help: "Apply one random change out of 14 to each image, as TrivialAugmentWide does.")
  var trivialAugment = false
  @Option(help: ArgumentHelp("Erase a random rectangle of an image with this probability.", valueName: "p"))
  var randomErasing: Double?
  @Option(help: ArgumentHelp("Blend pairs of images, with shares from Beta(alpha, alpha).", valueName: "alpha"))
  var mixup: Double?
  @Option(help: ArgumentHelp("Paste rectangles of images into others; with --mixup, each batch uses one.", valueName: "alpha"))
  var cutmix: Double?

  func validate() throws {
    if augment == false, let option = given.first(where: { $0 != "--no-augment" }) {
      throw ValidationError("--no-augment leaves images as they are: leave it or \(option) out")
    }
    try requireSizes(["--crop-padding": cropPadding], in: 0...Augmentation.maximumPadding)
  }

  /// Returns the augmentation for a data set: what suits it, with the changes that the options name.
  func augmentation(for kind: DatasetKind) -> Augmentation {
    if augment == false { return .none }
    var augmentation = kind.defaultAugmentation
    if augment == true, augmentation == .none { augmentation = Augmentation() }
    if let cropPadding { augmentation.crop = .padded(pixels: cropPadding) }
    flip?.apply(to: &augmentation)
    augmentation.colorJitter = colorJitter
    augmentation.trivialAugment = trivialAugment
    augmentation.randomErasing = randomErasing.map(RandomErasing.init)
    if mixup != nil || cutmix != nil { augmentation.mixing = BatchMixing(mixup: mixup, cutmix: cutmix) }
    return augmentation
  }
}
