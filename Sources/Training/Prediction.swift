import Compute
import Datasets

/// What a classifier takes an image for.
public struct Prediction: Sendable {
  /// The image's number, counted from 0.
  public let sample: Int
  /// The most probable classes, the most probable first; or why the image could not be had.
  public let classes: Result<[(label: Int, probability: Double)], Failure>
}

extension Classifier {
  /// The most probable classes of each image.
  /// - Parameters:
  ///   - count: of how many classes.
  ///   - body: gets the predictions of each batch, in the images' order.
  /// - Returns: false where `progress` stopped it.
  /// - Throws: ``Failure`` for images that do not fit the network; what the backend throws.
  public func predict(
    _ images: any ImageBatches, _ normalization: Normalization, top count: Int, precision: Precision = .fp32,
    progress: (Int) throws -> Bool = { _ in true }, _ body: ([Prediction]) throws -> Void
  ) throws -> Bool {
    try run(over: images, normalization, precision: precision, progress: progress) { batch, outputs in
      let scores = outputs.isEmpty ? nil : Scores(outputs, areProbabilities: givesProbabilities)
      let found = batch.samples.enumerated().map { index, sample in
        Prediction(sample: sample, classes: .success(scores?.top(count, of: index) ?? []))
      }
      let missing = batch.failures.map { Prediction(sample: $0.sample, classes: .failure($0.reason)) }
      try body((found + missing).sorted { $0.sample < $1.sample })
    }
  }

  /// The network's outputs, as they are, for images that are used as they are.
  /// - Parameters:
  ///   - images: uint8 or float32 [N,H,W,C].
  ///   - batchSize: images at once.
  ///   - progress: told the share done after each batch; returns false to stop early.
  /// - Returns: float32 [N,classes]; nil where `progress` stopped it.
  /// - Throws: ``Failure`` for images that do not fit the network; what the backend throws.
  public func outputs(
    of images: HostTensor, batchSize: Int, precision: Precision = .fp32, progress: (Double) throws -> Bool = { _ in true }
  ) throws -> HostTensor? {
    let batches = try StoredImages(images, batchSize: batchSize)
    let count = images.shape[0]
    var values: [Float] = []
    let isDone = try run(
      over: batches, .none(channels: images.shape[3]), precision: precision,
      progress: { try progress(Double($0) / Double(count)) }, { _, outputs in values += outputs[0].floats })
    return isDone ? HostTensor(values, shape: [count, values.count / max(1, count)]) : nil
  }
}
