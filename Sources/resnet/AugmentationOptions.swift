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

  /// Names of the options that were given, except `--augment`.
  private var additions: [String] {
    let all: [(String, Bool)] = [
      ("--crop-padding", cropPadding != nil), ("--color-jitter", colorJitter != nil), ("--trivial-augment", trivialAugment),
      ("--random-erasing", randomErasing != nil), ("--mixup", mixup != nil), ("--cutmix", cutmix != nil),
    ]
    return all.filter(\.1).map(\.0)
  }

  /// Names of the options that were given.
  var given: [String] { (augment != nil ? ["--augment/--no-augment"] : []) + additions }

  func validate() throws {
    if augment == false, let option = additions.first {
      throw ValidationError("--no-augment leaves images as they are: leave it or \(option) out")
    }
    try requireSizes(["--crop-padding": cropPadding], in: 0...Augmentation.maximumPadding)
  }

  /// Sets a run's augmentation for a data set.
  func apply(to run: inout RunConfiguration, _ kind: DatasetKind) {
    run.randomCrop = nil
    run.augmentation = nil
    if augment == false { return }
    if kind == .folder && cropPadding == nil { run.randomCrop = run.imageSize.flatMap(kind.defaultCrop) }
    let crops = kind.defaultAugmentation ?? (kind != .folder && augment == true ? Augmentation() : nil)
    guard crops != nil || !additions.isEmpty else { return }
    var all = crops ?? .none
    if let cropPadding {
      all.padding = cropPadding
      if kind == .folder { all.flip = true }
    }
    all.colorJitter = colorJitter
    all.trivialAugment = trivialAugment ? true : nil
    all.randomErasing = randomErasing.map(RandomErasing.init)
    all.mixing = mixup == nil && cutmix == nil ? nil : BatchMixing(mixup: mixup, cutmix: cutmix)
    run.augmentation = all
  }
}
