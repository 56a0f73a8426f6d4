import Datasets
import Models
import NN
import Support

/// Refuses an impossible value of a setting.
/// - Throws: ``Failure`` with the complaint if `holds` is false.
func demand(
  _ holds: Bool, _ setting: Setting, _ value: some CustomStringConvertible, _ complaint: @autoclosure () -> Message
) throws {
  if !holds { throw Failure(setting, value, complaint()) }
}

extension RunConfiguration {
  /// Maximum number of epochs, so that steps can be counted in a word.
  package static let mostEpochs = Int(Int32.max)

  /// Checks all values.
  /// - Throws: ``Failure`` for the first value that makes no sense.
  public func validate() throws {
    try demand(epochs > 0, .epochs, epochs, "at least one is needed")
    try demand(epochs <= Self.mostEpochs, .epochs, epochs, "at most \(Self.mostEpochs) are possible")
    try demand(batchSize > 0, .batchSize, batchSize, "at least one image is needed")
    try optimizer.validate()
    try demand(accumulate > 0, .accumulate, accumulate, "at least one batch is needed")
    try validateLayers()
    if let clipNorm { try demand(clipNorm.isFinite && clipNorm > 0, .clipNorm, clipNorm, "it must be above 0") }
    if let averageDecay {
      try demand(averageDecay >= 0 && averageDecay < 1, .averageDecay, averageDecay, "it must be at least 0 and below 1")
    }
    if let biasRateScale {
      try demand(biasRateScale.isFinite && biasRateScale > 0, .biasRateScale, biasRateScale, "it must be above 0")
      try demand(
        model.normalization == .batch, .biasRateScale, biasRateScale,
        "it is about the biases of batch normalization, and the network has none")
    }
    if let lookahead { try demand(lookahead > 0, .lookahead, lookahead, "at least one step is needed") }
    try demand(warmupEpochs >= 0 && warmupEpochs.isFinite, .warmupEpochs, warmupEpochs, "it must be at least 0")
    try demand(
      warmupEpochs <= Double(epochs), .warmupEpochs, warmupEpochs,
      "the run has \(epochs), so the rate would not be reached")
    try demand(
      warmupEpochs == 0 || schedule != .oneCycle, .warmupEpochs, warmupEpochs,
      "the schedule \(Schedule.Kind.oneCycle.rawValue) has a rise of its own: leave it out")
    try demand(labelSmoothing >= 0 && labelSmoothing <= 1, .labelSmoothing, labelSmoothing, "it must be from 0 to 1")
    try validateDepth()
    try classWeights?.validate()
    if let sampling, !shuffle {
      throw Failure(
        .conflictingSetting,
        "\(Setting.sampling, sampling.rawValue) draws images at random, and the order is to be that of the data",
        remedy: "leave \(Setting.sampling) out, or shuffle")
    }
    if let limitTrain = data.limitTrain { try demand(limitTrain > 0, .limitTrain, limitTrain, "at least one image is needed") }
    if let limit = data.limitValidation { try demand(limit > 0, .limitValidation, limit, "at least one image is needed") }
    try data.validationShare?.validate()
    try augmentation.validate()
    if let resizeFrom { try demand(resizeFrom > 0, .resizeFrom, resizeFrom, "at least one pixel is needed") }
    if let shares, !(shares.allSatisfy { (0...Int(Int32.max)).contains($0) } && shares.contains { $0 > 0 }) {
      throw Failure(.invalidSetting, "shares of \(shares): they must be whole numbers from 0, and one above it")
    }
    try validatePhotographs()
    if let patience { try demand(patience > 0, .patience, patience, "at least one epoch is needed") }
    if let maxSteps { try demand(maxSteps > 0, .maxSteps, maxSteps, "at least one is needed") }
    try files?.validate()
  }

  private func validateDepth() throws {
    guard let stochasticDepth else { return }
    try demand(
      stochasticDepth >= 0 && stochasticDepth < 1, .stochasticDepth, stochasticDepth, "it must be at least 0 and below 1")
    let hasShortcuts = try model.hasShortcuts()
    try demand(
      hasShortcuts, .stochasticDepth, stochasticDepth, "\(model.name) has no shortcuts by which its blocks could be skipped")
  }

  /// Checks ``learningRateScales`` and ``frozen`` against each other.
  private func validateLayers() throws {
    for (index, scale) in learningRateScales.enumerated() {
      let isRepeated = learningRateScales[..<index].contains { $0.prefix == scale.prefix }
      let value = "\(scale.prefix)=\(scale.factor)"
      try demand(!isRepeated, .learningRateScales, value, "\(scale.prefix) has one already")
      try demand(
        scale.factor.isFinite && scale.factor >= 0, .learningRateScales, value, "the factor must be at least 0")
    }
    for prefix in frozen {
      let scale = learningRateScales.first { $0.prefix == prefix || $0.prefix.hasPrefix("\(prefix).") }
      try demand(
        scale == nil, .learningRateScales, scale?.prefix ?? "",
        "it is frozen by \(Setting.frozen, prefix), leave one out")
    }
  }

  private func validatePhotographs() throws {
    guard let photographs = data.photographs else {
      guard case .randomResized = augmentation.crop else { return }
      throw Failure(
        .invalidSetting, "crops of random size are for photographs, but the images of \(data.name) have a size of their own")
    }
    let size = photographs.imageSize
    try demand(
      ModelConfiguration.imageSides.contains(size), .imageSize, size,
      "it must be from 1 to \(ModelConfiguration.imageSides.upperBound)")
    _ = try photographs.evaluation.transform(crop: size)
    guard photographs.normalization.fits(channels: model.channels) else {
      throw Failure(
        .invalidSetting,
        "normalization: a finite mean and a deviation above 0 are needed for each of \(model.channels) channels")
    }
  }

  /// Checks the layers that ``frozen`` and ``learningRateScales`` name.
  /// - Throws: ``Failure`` if the network does not have one of them, or if nothing is left to train.
  public func checkLayers() throws {
    let store = try ResNet(model).store
    let named = frozen.map { (Setting.frozen, $0) } + learningRateScales.map { (Setting.learningRateScales, $0.prefix) }
    for (setting, prefix) in named {
      do { _ = try store.layers(prefix) } catch let failure as Failure {
        throw Failure(failure.kind, "\(setting, prefix): \(failure)")
      }
    }
    try store.freeze(frozen)
  }

  /// Checks ``resizeFrom`` for these images.
  private func checkGrowth(of images: some ImageSource) throws {
    guard let resizeFrom, let size = try growth(of: images.shape)?.size(ofEpoch: 0) else { return }
    let canTrain = try ResNet(model).canTrain(on: [min(batchSize, images.count), size.height, size.width, images.shape[3]])
    try demand(
      canTrain, .resizeFrom, resizeFrom, "batch normalization needs two pixels in the last stage: take batches of two images")
  }

  /// Checks that training on these images makes sense.
  /// - Throws: ``Failure`` if it does not.
  public func check(_ images: some ImageSource) throws {
    try model.check(images)
    let (height, width) = (images.shape[1], images.shape[2])
    guard images.classes.count > 1 else {
      throw Failure(
        .mismatch,
        "\(data.path ?? images.name) has one class, '\(images.classes.first ?? "")': there is nothing to tell apart")
    }
    try checkGrowth(of: images)
    try images.requireLabels(below: images.classes.count)
    try classWeights?.check(classes: model.classes)
    if let side = data.photographs?.imageSize, (side, side) != (height, width) {
      throw Failure(
        .mismatch, "the images are of \(height)×\(width), and the run's photographs of \(side)×\(side)",
        remedy: "open them with \(Setting.imageSize, side)")
    }
    if case .randomResized = augmentation.crop, images.pixels != nil {
      throw Failure(
        .conflictingSetting, "crops of random size are of photographs, and \(images.name) is in memory",
        remedy: "take crops with a border (\(Setting.cropPadding))")
    }
    // Photographs are cropped at the size of the epoch, images in memory before they are shrunk.
    let smallest = try images.pixels == nil ? growth(of: images.shape)?.size(ofEpoch: 0) : nil
    let (cropHeight, cropWidth) = (smallest?.height ?? height, smallest?.width ?? width)
    if case .padded(let padding) = augmentation.crop, padding >= min(cropHeight, cropWidth) {
      throw Failure(
        .cropPadding, padding, "some crops of the images of \(cropHeight)×\(cropWidth) would be nothing but padding")
    }
  }
}
