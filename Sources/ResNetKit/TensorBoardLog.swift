import CPUBackend
import Compute
import Datasets
import Foundation
import Images
import Support
import TensorBoard
import Training

/// Record of a run for TensorBoard: figures of steps and epochs, distributions of weights and gradients after each epoch, a
/// picture of the training images as augmented, and the run's settings.
///
/// ```swift
/// let session = try TrainingSession("resnet20", on: .fashionMNIST(), folder: "runs/fashion")
/// let log = try TensorBoardLog(session)
/// try session.train(report: log.record)
/// try log.end()
/// ```
///
/// `tensorboard --logdir runs` then shows the run beside others. Figures have the values of `metrics.jsonl`, as 32-bit numbers.
public final class TensorBoardLog {
  private let trainer: Trainer
  private let file: EventFile
  /// Failure that has ended the record while training went on; nil for none.
  public private(set) var failure: Failure?

  /// Tags by which TensorBoard's table compares runs.
  private static let compared = [Tag.validationAccuracy, Tag.validationLoss, Tag.epochLoss]

  private enum Tag {
    static let (stepLoss, epochLoss, validationLoss) = ("loss/step", "loss/epoch", "loss/validation")
    static let (stepAccuracy, epochAccuracy, validationAccuracy) = ("accuracy/step", "accuracy/epoch", "accuracy/validation")
    static let (learningRate, waiting) = ("learning_rate", "waiting")
    static let (stepSpeed, epochSpeed) = ("images_per_second/step", "images_per_second/epoch")
  }

  /// Begins a record in the folder of a session, or goes on with that of a resumed run.
  /// - Throws: ``Failure`` if the session has no folder, and for files that cannot be written.
  public convenience init(_ session: TrainingSession) throws {
    guard let folder = session.trainer.folder else {
      throw Failure(.invalidSetting, "the run has no folder for TensorBoard's files", remedy: "give the session a folder")
    }
    try self.init(session.trainer, session.images, in: folder.path)
  }

  private init(_ trainer: Trainer, _ images: any ImageSource, in folder: String) throws {
    self.trainer = trainer
    let isNew = trainer.step == 0
    file = try EventFile(in: folder, host: RunSession.hostName, resumingAfter: isNew ? nil : trainer.step)
    let configuration = trainer.configuration
    let json = try configuration.json()
    try file.begin(Self.settings(try JSON(parsing: json)), comparing: Self.compared)
    guard isNew else { return }
    try file.write(text: "```json\n\(json)```", tag: "configuration", step: 0)
    // The run itself tells of images that cannot be decoded.
    guard let sheet = try? ContactSheet(configuration, images, on: CPUBackend()).image else { return }
    try file.write(png: try sheet.png(), height: sheet.height, width: sheet.width, tag: "augmentation", step: 0)
  }

  /// Returns the settings of a configuration, nested ones by their path.
  private static func settings(_ json: JSON, _ path: String = "") -> [String: EventFile.Setting] {
    switch json {
    case .null: [:]
    case .boolean(let value): [path: .truth(value)]
    case .integer(let value): [path: .number(Double(value))]
    case .number(let value): [path: .number(value)]
    case .string(let value): [path: .text(value)]
    case .array: [path: .text("\(json)")]
    case .object(let members):
      members.reduce(into: [:]) { settings, member in
        settings.merge(Self.settings(member.value, path.isEmpty ? member.key : "\(path).\(member.key)")) { $1 }
      }
    }
  }

  /// Whether a run keeps a record.
  /// - Throws: ``Failure`` if the folder cannot be read.
  package static func isKept(in folder: String) throws -> Bool {
    try Folder.entries(folder).contains { $0.hasPrefix(RunFolder.eventPrefix) }
  }

  /// Records an event of the training. If a file cannot be written, the record ends there, ``failure`` has the reason, and
  /// ``end(succeeding:)`` throws it.
  public func record(_ event: TrainingEvent) {
    guard failure == nil else { return }
    do { try write(event) } catch { failure = error as? Failure ?? Failure(.device, "\(error)") }
  }

  /// Records the end of the run.
  /// - Parameter succeeding: false if the run ended by an error.
  /// - Throws: ``Failure`` if this or an earlier part of the record could not be written.
  public func end(succeeding: Bool = true) throws {
    if let failure { throw failure }
    try file.end(succeeding: succeeding)
  }

  private func write(_ event: TrainingEvent) throws {
    switch event {
    case .progress: break
    case .step(let record):
      try file.write(
        [
          Tag.stepLoss: record.loss, Tag.stepAccuracy: record.accuracy, Tag.learningRate: record.learningRate,
          Tag.stepSpeed: record.imagesPerSecond,
        ], step: record.step)
    case .epoch(let record):
      try file.write(
        [
          Tag.epochLoss: record.loss, Tag.validationLoss: record.validationLoss, Tag.epochAccuracy: record.accuracy,
          Tag.validationAccuracy: record.validationAccuracy, Tag.epochSpeed: record.imagesPerSecond, Tag.waiting: record.waiting,
        ], step: record.step)
      try file.write(try trainer.distributions(), step: record.step)
    }
  }
}

extension Trainer {
  /// Returns the distributions of the trained parameters' values and of the gradients of the last step.
  fileprivate func distributions() throws -> [(tag: String, histogram: Histogram)] {
    guard let gradients = try optimizer.lastGradients() else { return [] }
    let trained = Set(gradients.map(\.name))
    let weights = try model.store.dictionary(of: model.store.weightsArena).filter { trained.contains($0.name) }
    return weights.map { ("weights/\($0.name)", Histogram($0.tensor.floats)) }
      + gradients.map { ("gradients/\($0.name)", Histogram($0.values)) }
  }
}
