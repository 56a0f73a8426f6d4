import Checkpoints
import Compute
import Datasets
import Images
import Support

/// Classification result of one image.
///
/// ```swift
/// func show(_ predictions: [Prediction]) {
///   for case .success(let classes) in predictions.map(\.classes) { print(classes[0].label, classes[0].probability) }
/// }
/// ```
public struct Prediction: Sendable {
  /// Number of the image's item.
  public let sample: Int
  /// Most probable classes, the most probable first; or the reason why the image could not be read or decoded.
  public let classes: Result<[(label: Int, probability: Double)], Failure>
}

extension Classifier {
  /// Predicts the most probable classes of each image.
  /// - Parameters:
  ///   - count: number of classes for each image.
  ///   - progress: called after each batch with the number of images done; returns false to stop early.
  ///   - body: called with the predictions of each batch, in the order of the images.
  /// - Returns: false if `progress` stopped the run.
  /// - Throws: a ``Failure`` if the images do not fit the network, or its outputs are not finite; errors of the backend.
  public func predict(
    _ images: BatchLoader, batchSize: Int, top count: Int, progress: (Int) throws -> Bool = { _ in true },
    _ body: ([Prediction]) throws -> Void
  ) throws -> Bool {
    try outputs(over: images, batchSize: batchSize, progress: progress) { batch, outputs in
      let scores = outputs.isEmpty ? nil : Scores(outputs, areProbabilities: givesProbabilities)
      let found = batch.items.enumerated().map { index, item in
        Prediction(sample: item.sample, classes: .success(scores?.top(count, of: index) ?? []))
      }
      let missing = batch.missing.map { Prediction(sample: $0.item.sample, classes: .failure($0.reason)) }
      try body((found + missing).sorted { $0.sample < $1.sample })
    }
  }

  /// Returns the network's outputs, as they are, for images that are used as they are.
  /// - Parameters:
  ///   - images: pixels, uint8 or float32 [N,H,W,C].
  ///   - batchSize: batch size.
  ///   - progress: called after each batch with the number of images done; returns false to stop early.
  /// - Returns: float32 [N,classes]; nil if `progress` stopped the run.
  /// - Throws: a ``Failure`` if the images do not fit the network, or its outputs are not finite; errors of the backend.
  public func outputs(
    of images: HostTensor, batchSize: Int, precision: Precision = .fp32, progress: (Int) throws -> Bool = { _ in true }
  ) throws -> HostTensor? {
    let count = images.shape[0]
    let source = Dataset(
      name: "images", images: images, labels: HostTensor([Int32](repeating: 0, count: count), shape: [count]), classes: [],
      normalization: .none(channels: images.shape[3]))
    var values: [Float] = []
    let isDone = try outputs(
      over: try BatchLoader(source, precision: precision, streams: true, on: backend), batchSize: batchSize, progress: progress
    ) { values += $1[0].floats }
    return isDone ? HostTensor(values, shape: [count, values.count / count]) : nil
  }

  /// Computes the network's outputs of each image.
  /// - Parameters:
  ///   - progress: called after each batch with the number of images done; returns false to stop early.
  ///   - body: called with each image in order, and with its outputs [K] or the reason why it could not be loaded.
  /// - Returns: false if `progress` stopped the run.
  /// - Throws: a ``Failure`` if the images do not fit the network, or its outputs are not finite; errors of the backend.
  /// - Precondition: each image has one view.
  package func outputs(
    ofEach images: BatchLoader, batchSize: Int, progress: (Int) throws -> Bool = { _ in true },
    _ body: (ImageItem, Result<ArraySlice<Float>, Failure>) throws -> Void
  ) throws -> Bool {
    precondition(images.images.views.count == 1, "[Classifier] outputs of \(images.images.views.count) views")
    return try outputs(over: images, batchSize: batchSize, progress: progress) { batch, outputs in
      let (values, columns) = (outputs.first?.floats ?? [], classes.count)
      var results = batch.items.enumerated().map { index, item in
        (item: item, result: Result<ArraySlice<Float>, Failure>.success(values[index * columns..<(index + 1) * columns]))
      }
      results += batch.missing.map { (item: $0.item, result: .failure($0.reason)) }
      for (item, result) in results.sorted(by: { $0.item.sample < $1.item.sample }) { try body(item, result) }
    }
  }

  /// Calls `body` with each batch in order, and with the outputs [N,K] for each of its views. There are no outputs if all images
  /// of the batch are missing.
  func outputs(
    over images: BatchLoader, batchSize: Int, progress: (Int) throws -> Bool = { _ in true },
    _ body: (ImageBatch, [HostTensor]) throws -> Void
  ) throws -> Bool {
    try run(over: images, batchSize: batchSize, progress: progress) { outputs, _ in
      try outputs.map { try backend.readLater($0) }
    } _: { batch, outputs in
      try requireFinite(outputs)
      try body(batch, outputs)
    }
  }
}
