/// What a training run tells as it goes; each becomes a line of `metrics.jsonl`.
public enum TrainingEvent: Hashable, Sendable {
  case step(StepRecord)
  case epoch(EpochRecord)
}

/// The figures of one step, or their means since the last such record.
public struct StepRecord: Hashable, Codable, Sendable {
  /// Counted from 1.
  public var epoch: Int
  /// Steps done since the run began.
  public var step: Int
  /// Mean loss, with smoothing, and share of images right, over the steps since the last record.
  public var loss, accuracy: Double
  public var learningRate: Double
  public var imagesPerSecond: Double
}

/// The figures of one epoch.
public struct EpochRecord: Hashable, Codable, Sendable {
  public var epoch: Int
  public var step: Int
  /// Means over the epoch's training images, as they were when each was trained on.
  public var loss, accuracy: Double
  public var learningRate: Double
  public var imagesPerSecond: Double
  /// The share of its time in which training waited for images to be decoded: near 1, loading is what limits the run.
  public var waiting: Double
  public var validationLoss, validationAccuracy: Double
}
