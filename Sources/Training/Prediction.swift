import Compute
import Datasets
import Support

/// Classification result of one image.
public struct Prediction: Sendable {
  /// Index of the image, counted from 0.
  public let sample: Int
  /// Most probable classes, the most probable first; or the reason why the image could not be read or decoded.
  public let classes: Result<[(label: Int, probability: Double)], Failure>
}

extension Classifier {
  /// Predicts the most probable classes of each image.
  /// - Parameters:
  ///   - count: number of classes for each image.
  ///   - body: called with the predictions of each batch, in the order of the images.
  /// - Returns: false if `progress` stopped the run.
  /// - Throws: ``Failure`` if the images do not fit the network; errors of the backend.
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

  /// Returns the network's outputs, as they are, for images that are used as they are.
  /// - Parameters:
  ///   - images: pixels, uint8 or float32 [N,H,W,C].
  ///   - batchSize: batch size.
  ///   - progress: called after each batch with the share done; returns false to stop early.
  /// - Returns: float32 [N,classes]; nil if `progress` stopped the run.
  /// - Throws: ``Failure`` if the images do not fit the network; errors of the backend.
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
