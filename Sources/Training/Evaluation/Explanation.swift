import Checkpoints
import Compute
import Datasets
import Glibc
import Images
import Models
import Support

/// Part of an image that speaks for a class, by Grad-CAM; see ``GradCAM``.
public struct Explanation: Sendable {
  /// Class that is explained, and its probability.
  public let label: Int
  public let probability: Double
  /// Map of the last stage: its values are in the unit of the logit, and it covers the whole picture.
  public let heat: HeatMap
  /// The image as the network sees it, resized and cropped. Small images are enlarged by a whole factor.
  public let picture: RGBImage

  /// Side in pixels that enlarged pictures do not exceed.
  static let shownSide = 224

  /// The picture under the colors of the map.
  public var blended: RGBImage { heat.blended(over: picture) }
}

extension ResNetClassifier {
  /// Predicts the most probable classes of each image, and explains one class of each.
  /// - Parameters:
  ///   - count: number of predicted classes for each image.
  ///   - label: class to explain; nil for the most probable one of each image.
  ///   - progress: called after each batch with the number of images done; returns false to stop early.
  ///   - body: called with each image's prediction, in the order of the images, and with its explanation; nil for an image that
  ///     could not be decoded.
  /// - Returns: false if `progress` stopped the run.
  /// - Throws: a ``Failure`` if the images do not fit the network, or its outputs are not finite; errors of the backend.
  /// - Precondition: each image has one view; the outputs are logits, more than `label`.
  public func explain(
    _ images: BatchLoader, batchSize: Int, top count: Int, label: Int? = nil, progress: (Int) throws -> Bool = { _ in true },
    _ body: (Prediction, Explanation?) throws -> Void
  ) throws -> Bool {
    precondition(images.images.views.count == 1, "[Classifier] explanations of \(images.images.views.count) views")
    try check(images.images)
    guard images.count > 0 else { return true }
    let gradCAM = GradCAM(model)
    let plan = EpochPlan(inOrder: images.count)
    let loaded = try images.load(plan, batches: plan.batches(of: batchSize, keepShort: true))
    for index in loaded.batches.indices {
      let (batch, sent) = try loaded.load(index)
      let explained = try sent.map {
        try explain(try $0.gather(view: 0).x, by: gradCAM, top: count, label, images.images.source.normalization)
      }
      var results = zip(batch.items, explained ?? []).map { item, result in
        (
          prediction: Prediction(sample: item.sample, classes: .success(result.classes)),
          explanation: Explanation?(result.explanation)
        )
      }
      results += batch.missing.map { (Prediction(sample: $0.item.sample, classes: .failure($0.reason)), nil) }
      for (prediction, explanation) in results.sorted(by: { $0.prediction.sample < $1.prediction.sample }) {
        try body(prediction, explanation)
      }
      guard try progress(loaded.batches[index].upperBound) else { return false }
    }
    return true
  }

  private func explain(
    _ x: Tensor, by gradCAM: GradCAM, top count: Int, _ label: Int?, _ normalization: Normalization
  ) throws -> [(classes: [(label: Int, probability: Double)], explanation: Explanation)] {
    var scores: Scores?
    var labels: [Int] = []
    let (_, maps) = try gradCAM(x) { logits in
      try requireFinite([logits])
      let found = Scores([logits], areProbabilities: false)
      labels = (0..<found.count).map { label ?? found.top(1, of: $0)[0].label }
      scores = found
      return labels
    }
    guard let scores else { return [] }
    let (values, height, width) = (try backend.download(x).floats, x.shape[1], x.shape[2])
    let size = (image: x.count / x.shape[0], map: maps.shape[1] * maps.shape[2])
    let heats = maps.floats
    return labels.enumerated().map { index, label in
      let image = values[index * size.image..<(index + 1) * size.image]
      let picture = PixelDisplay(normalization, of: image).picture(
        image, height: height, width: width, enlarged: max(1, Explanation.shownSide / max(height, width)))
      let heat = HeatMap(
        height: maps.shape[1], width: maps.shape[2], values: Array(heats[index * size.map..<(index + 1) * size.map]))
      let probability = exp(scores.logProbabilities[index * scores.classes + label])
      return (
        scores.top(count, of: index), Explanation(label: label, probability: probability, heat: heat, picture: picture)
      )
    }
  }
}
