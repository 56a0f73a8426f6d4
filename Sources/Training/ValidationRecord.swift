import Checkpoints
import Datasets
import Foundation
import Support

/// Results of a run's best weights on the validation images: metrics, confusions and the worst mistakes. The run keeps them in its
/// file `validation.json`.
///
/// ```swift
/// if let record = try RunFolder(existing: "runs/flowers").validation() {
///   print(record.epoch, record.evaluation.metrics.top1, record.evaluation.confusedPairs)
/// }
/// ```
public struct ValidationRecord: Sendable {
  /// Maximum number of mistakes that are kept.
  static let mistakes = 24

  /// Epoch after which the images were measured on, counted from 1.
  public var epoch: Int
  /// Metrics, confusions and the worst mistakes, with the names of the classes.
  public var evaluation: Evaluation

  /// - Parameter images: the images that were measured on, which name the classes.
  init(epoch: Int, _ evaluation: Evaluation, of images: any ImageSource) {
    (self.epoch, self.evaluation) = (epoch, evaluation)
    if images.classes.count == evaluation.classes.count { self.evaluation.classes = images.classes }
  }
}

extension ValidationRecord: Codable {
  private enum CodingKeys: CodingKey { case epoch, metrics, classes, confusions, worst }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(epoch, forKey: .epoch)
    try container.encode(evaluation.metrics, forKey: .metrics)
    try container.encode(evaluation.classes, forKey: .classes)
    let count = evaluation.classes.count
    try container.encode(
      evaluation.counts.sorted { $0.key < $1.key }.map { [$0.key / count, $0.key % count, $0.value] }, forKey: .confusions)
    try container.encode(evaluation.worst, forKey: .worst)
  }

  /// - Throws: `DecodingError` also for classes that there are not, and for counts that are impossible.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    epoch = try container.decode(Int.self, forKey: .epoch)
    let classes = try container.decode([String].self, forKey: .classes)
    let confusions = try container.decode([[Int]].self, forKey: .confusions)
    let worst = try container.decode([Mistake].self, forKey: .worst)
    let arePossible = confusions.allSatisfy { entry in
      entry.count == 3 && entry[..<2].allSatisfy(classes.indices.contains) && (0...1 << 53).contains(entry[2])
    }
    let mistakesArePossible = worst.allSatisfy { mistake in
      [mistake.label, mistake.prediction].allSatisfy(classes.indices.contains) && mistake.sample >= 0
    }
    guard arePossible, mistakesArePossible else {
      throw DecodingError.dataCorruptedError(forKey: .confusions, in: container, debugDescription: "no such class")
    }
    evaluation = Evaluation(
      metrics: try container.decode(Metrics.self, forKey: .metrics), classes: classes,
      counts: Dictionary(confusions.map { ($0[0] * classes.count + $0[1], $0[2]) }) { first, _ in first }, worst: worst)
  }
}

/// The validation of a run's best epoch, in its file `validation.json`.
extension RunFolder {
  /// Path of the best epoch's validation, a ``ValidationRecord`` as JSON.
  public var validationPath: String { "\(path)/validation.json" }

  /// Reads the validation of the best epoch; nil if no epoch is finished, and for runs from before it was kept.
  /// - Throws: ``Failure`` if the file cannot be read or is damaged.
  public func validation() throws -> ValidationRecord? {
    guard InputFile.exists(validationPath) else { return nil }
    do {
      return try JSONDecoder().decode(ValidationRecord.self, from: Data(try InputFile(validationPath).read()))
    } catch is DecodingError {
      throw Failure(.damagedFile, about: validationPath, "it is damaged", remedy: "remove it")
    }
  }

  /// Returns the file of a validation.
  /// - Throws: never for a record that was made here.
  func file(of record: ValidationRecord) throws -> RunFile {
    RunFile(path: validationPath, contents: .text(try record.jsonText() + "\n"))
  }
}
