import Checkpoints
import Compute
import Datasets
import Foundation
import Images
import Models
import NN
import Support
import Training

/// The choices that decide what a run trains on and what network it trains, before the images are opened.
package struct TrainingSetup {
  /// The network of a run that names none.
  package static let defaultModel = "resnet20"

  package var data: TrainingData
  /// The network's name; nil for that of the initial weights, else ``defaultModel``.
  package var model: String?
  /// Builds the network's configuration from its name, classes and channels, and from the configuration of the initial weights.
  package var build: (_ name: String, _ classes: Int, _ channels: Int, _ known: ModelConfiguration?) -> ModelConfiguration = {
    let known = $0 == $3?.name ? $3 : nil
    return ModelConfiguration(
      name: $0, classes: $1, channels: $2, shortcut: known?.shortcut, normalization: known?.normalization ?? .batch)
  }
  /// The file of weights to start from; nil to draw them.
  package var initialWeights: String?
  package var initialPlace = WeightsPlace()
  /// Height and width of photographs; nil for those of the initial weights, else what the network is published with.
  package var imageSize: Int?
  /// Preparation of photographs that are not cropped at random; nil for that of the initial weights, else the usual one.
  package var evaluation: EvaluationRecipe?
  package var damaged = DamagedImages.fail
  /// Called while the images are looked for; nil for nothing.
  package var progress: ReadingProgress?

  package init(_ data: TrainingData) { self.data = data }

  /// A run that is ready to begin.
  package struct Prepared {
    package var configuration: RunConfiguration
    package let splits: ImageSplits
    /// The weights to start from, read already.
    package var initialWeights: Weights?
    /// Whether the batch size becomes the largest that suits the run and fits the device's memory.
    package var takesLargestBatch = false
    /// Whether the learning rate is searched for, so that advice on it has no meaning.
    package var searchesRate = false
    /// Whether a run goes on with images that have changed since it began.
    package var takesOtherImages = false
    /// Notices about the reading of the weights, or of the settings of a run that goes on.
    package let notices: [Message]

    /// - Throws: ``Failure`` for settings that make no sense, or do not fit the images.
    package func check() throws {
      try configuration.validate()
      try configuration.checkLayers()
      try configuration.check(splits.train)
    }
  }

  /// Opens the images, reads the initial weights, and fits the network to both.
  /// - Throws: ``Failure`` for images or weights that cannot be read or do not fit.
  package func prepare() throws -> Prepared {
    var (weights, notices): (Weights?, [Message]) = (nil, [])
    if let initialWeights { (weights, notices) = try NetworkWeights.read(initialWeights, at: initialPlace) }
    let initial = try weights.flatMap(initialNetwork)
    let name = model ?? initial?.model.name ?? Self.defaultModel
    if data.isPhotographic, imageSize == nil, let trained = initial?.imageSize, trained[0] != trained[1] {
      throw Failure(
        .conflictingSetting, "the weights are from images of \(trained[0])×\(trained[1]), photographs are cut square",
        remedy: "add \(Setting.imageSize)")
    }
    let side = try imageSize ?? initial?.imageSize?[0] ?? ModelConfiguration.usualInput(of: name).side
    // Equal pixels have to stay equal inputs.
    let normalization = data.isPhotographic ? initial.flatMap(Self.normalization) : nil
    let evaluation = data.isPhotographic ? try recipe(completedBy: initial, crop: side) : nil
    let splits = try data.open(
      imageSize: side, evaluation: evaluation, normalization: normalization, damaged: damaged, progress: progress)
    let network = build(name, splits.train.classes.count, splits.train.shape[3], initial?.model)
    var run = RunConfiguration(model: network, dataset: data.name)
    // Absolute, so that the run can be resumed from anywhere.
    run.data.path = data.path.map { URL(fileURLWithPath: $0).path }
    run.data.validationShare = data.validationShare
    run.data.labels = data.labels.map { URL(fileURLWithPath: $0).path }
    run.initialWeights = initialWeights.map { URL(fileURLWithPath: $0).path }
    if data.isPhotographic {
      run.data.photographs = PhotographSettings(
        imageSize: side, evaluation: evaluation ?? EvaluationRecipe(), normalization: normalization ?? .imageNet, damaged: damaged
      )
    }
    run.augmentation = data.kind?.defaultAugmentation ?? .none
    run.warmupEpochs = run.usualWarmup
    run.use(.sgd)
    return Prepared(configuration: run, splits: splits, initialWeights: weights, notices: notices)
  }

  /// Opens the images of a run that goes on.
  /// - Parameters:
  ///   - path: new place of the data set; nil for the place that it had.
  ///   - images: the images, if they are in memory.
  ///   - damaged: treatment of photographs that cannot be decoded; nil for that of the run.
  ///   - resumption: what may be another when the run goes on; nil to use its images alone.
  ///   - progress: called while the images are looked for; nil for nothing.
  /// - Throws: ``Failure`` if there is no run in the folder, or its data set is missing.
  package static func resuming(
    _ folder: RunFolder, path: String?, images: ImageSplits? = nil, damaged: DamagedImages? = nil,
    resumption: Resumption? = nil, progress: ReadingProgress? = nil
  ) throws -> Prepared {
    let (saved, notices) =
      try resumption.map { try folder.configuration(for: $0) } ?? (configuration: folder.configuration(), notices: [])
    if let images { return Prepared(configuration: saved, splits: images, notices: notices) }
    let run = try configuration(saved, path: path)
    let kind = try about(folder.configurationPath) {
      try run.checkLayers()
      return try DatasetKind(named: run.data.name)
    }
    let photographs = run.data.photographs ?? PhotographSettings(imageSize: 224)
    let splits = try kind.open(
      from: run.data.path, labels: run.data.labels, imageSize: photographs.imageSize, evaluation: photographs.evaluation,
      normalization: photographs.normalization, damaged: damaged ?? photographs.damaged,
      validationShare: run.data.validationShare, progress: progress)
    return Prepared(configuration: run, splits: splits, notices: notices)
  }

  /// Returns the settings of a run whose data set is there.
  /// - Parameter path: new place of the data set; nil for the place that it had.
  /// - Throws: ``Failure`` if there is no run in the folder, or its data set is missing.
  package static func configuration(of folder: RunFolder, path: String? = nil) throws -> RunConfiguration {
    try configuration(try folder.configuration(), path: path)
  }

  private static func configuration(_ run: RunConfiguration, path: String?) throws -> RunConfiguration {
    var run = run
    if let path { run.data.path = URL(fileURLWithPath: path).path }
    if let data = run.data.path, try !ImageTree.exists(data) {
      throw Failure(
        .notFound, "\(data), the run's data set, is not there", remedy: "where it has moved to, \(Setting.data) says")
    }
    if let labels = run.data.labels, !InputFile.exists(labels) {
      throw Failure(.notFound, "\(labels), the labels of the run's images, is not there", remedy: "put it back")
    }
    return run
  }

  /// Returns the network of the initial weights; nil if ``model`` tells it and they do not.
  private func initialNetwork(_ weights: Weights) throws -> Weights.Description? {
    if let description = weights.description { return description }
    guard model == nil, let path = initialWeights else { return nil }
    let configuration = try NetworkWeights.configuration(of: weights, path, ignoringHead: true)
    return try about(path) { try Weights.Description(imported: configuration) }
  }

  private func recipe(completedBy initial: Weights.Description?, crop: Int) throws -> EvaluationRecipe? {
    try evaluationRecipe(evaluation, completedBy: initial?.evaluation, trainedOn: initial?.imageSize?.first, crop: crop)
  }

  /// Returns the normalization of the initial weights; nil if it is unknown and the usual one of photographs serves.
  private static func normalization(of network: Weights.Description) -> Normalization? {
    let gray = network.model.channels == 1 ? Normalization.imageNetGray : nil
    guard let known = network.normalization, known.range == 255, [1, 3].contains(known.mean.count) else { return gray }
    return known
  }
}
