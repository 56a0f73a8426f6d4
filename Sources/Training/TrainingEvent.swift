/// Event of a training run. Steps and epochs become lines of `metrics.jsonl`.
///
/// ```swift
/// try session.train { event in
///   switch event {
///   case .step(let step): print(step.step, step.loss)
///   case .epoch(let epoch): print(epoch.epoch, epoch.validationAccuracy)
///   case .progress: break
///   }
/// }
/// ```
public enum TrainingEvent: Hashable, Sendable {
  case step(StepRecord)
  case epoch(EpochRecord)
  case progress(TrainingProgress)
}

/// Progress between two records, for a display. It is reported for every step and every batch, whatever the records, and in no
/// file.
///
/// ```swift
/// try session.train { event in
///   if case .progress(.validation(_, let done, let total)) = event { print("validated \(done) of \(total) images") }
/// }
/// ```
public enum TrainingProgress: Hashable, Sendable {
  /// A step is done on the device: its epoch, counted from 1; the number of steps done since the run began; the number of its
  /// images, their mean loss (with label smoothing), and the share of them that was classified correctly.
  case step(epoch: Int, step: Int, images: Int, loss: Double, accuracy: Double)
  /// A batch of validation images is on its way through the device: the epoch, counted from 1; the number of images so far, and
  /// of all validation images.
  case validation(epoch: Int, done: Int, total: Int)
  /// State and weights of the run were saved because the caller asked for it: the number of steps done since the run began.
  case saved(step: Int)
}

/// Figures of one step, or their means over the steps since the last record.
///
/// ```swift
/// try session.train { event in
///   if case .step(let step) = event { print(step.step, step.loss, step.imagesPerSecond) }
/// }
/// ```
public struct StepRecord: Hashable, Codable, Sendable {
  /// Epoch, counted from 1.
  public var epoch: Int
  /// Number of steps done since the run began.
  public var step: Int
  /// Mean loss (with label smoothing) and share of images classified correctly, over the steps since the last record.
  public var loss, accuracy: Double
  public var learningRate: Double
  public var imagesPerSecond: Double
}

/// Figures of one epoch.
///
/// ```swift
/// try session.train { event in
///   if case .epoch(let epoch) = event { print(epoch.epoch, epoch.accuracy, epoch.validationAccuracy) }
/// }
/// ```
public struct EpochRecord: Hashable, Codable, Sendable {
  public var epoch: Int
  public var step: Int
  /// Means over the epoch's training images. Each image is measured in the step that trains on it.
  public var loss, accuracy: Double
  public var learningRate: Double
  public var imagesPerSecond: Double
  /// Share of the epoch's time in which training waited for images to be decoded. A share near 1 means that loading limits the
  /// run.
  public var waiting: Double
  /// Mean loss over the validation images, and share of them that was classified correctly. The loss is a NaN or an infinity if an
  /// output of the network is not finite. Files have `null` for it, which is read as NaN, and the epoch is never the best one.
  public var validationLoss, validationAccuracy: Double
}

extension EpochRecord {
  private enum CodingKeys: CodingKey {
    case epoch, step, loss, accuracy, learningRate, imagesPerSecond, waiting, validationLoss, validationAccuracy
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    func number(_ key: CodingKeys) throws -> Double { try container.decode(Double.self, forKey: key) }
    self.init(
      epoch: try container.decode(Int.self, forKey: .epoch), step: try container.decode(Int.self, forKey: .step),
      loss: try number(.loss), accuracy: try number(.accuracy), learningRate: try number(.learningRate),
      imagesPerSecond: try number(.imagesPerSecond), waiting: try number(.waiting),
      validationLoss: try container.decodeNil(forKey: .validationLoss) ? .nan : number(.validationLoss),
      validationAccuracy: try number(.validationAccuracy))
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(epoch, forKey: .epoch)
    try container.encode(step, forKey: .step)
    try container.encode(loss, forKey: .loss)
    try container.encode(accuracy, forKey: .accuracy)
    try container.encode(learningRate, forKey: .learningRate)
    try container.encode(imagesPerSecond, forKey: .imagesPerSecond)
    try container.encode(waiting, forKey: .waiting)
    // JSON has no number for it.
    try container.encode(validationLoss.isFinite ? validationLoss : nil, forKey: .validationLoss)
    try container.encode(validationAccuracy, forKey: .validationAccuracy)
  }
}
