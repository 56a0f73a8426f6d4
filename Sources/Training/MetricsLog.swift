import Formats
import Support

/// Log file of a run, such as `metrics.jsonl`: one JSON object a line, written when the event happens.
final class MetricsLog {
  private let file: AppendingFile

  /// Opens the log at `path` and keeps the lines up to the run's position. Lines that an interrupted run wrote after its last
  /// checkpoint are dropped, as they will be written again.
  init(path: String, keepingThrough position: RunFolder.Position) throws {
    var kept = ""
    if position.step > 0, InputFile.exists(path) {
      for line in String(decoding: try InputFile(path).read(), as: UTF8.self).split(separator: "\n")
      where Self.isWritten(line, by: position) {
        kept += line + "\n"
      }
    }
    try AtomicFile.write(kept, to: path)
    file = try AppendingFile(path)
  }

  /// Whether a run wrote the line before it reached a position. A line that was cut off on a full disk does not count.
  private static func isWritten(_ line: Substring, by position: RunFolder.Position) -> Bool {
    guard let value = try? JSON(parsing: String(line)), case .integer(let step)? = value["step"] else { return false }
    if value["kind"] == .string("epoch"), case .integer(let epoch)? = value["epoch"], epoch > position.epoch { return false }
    return step <= position.step
  }

  /// Writes an event, if it is a record.
  func write(_ event: TrainingEvent) throws { if let json = event.json { try write(json) } }

  /// Writes a line.
  func write(_ json: JSON) throws { try file.write(line: json.description) }
}

extension TrainingEvent {
  /// JSON object of the event, with the keys that scripts rely on; nil if it is no record.
  var json: JSON? {
    switch self {
    case .step(let r):
      .object([
        .init("kind", .string("step")), .init("epoch", .integer(r.epoch)), .init("step", .integer(r.step)),
        .init("loss", .number(r.loss)), .init("accuracy", .number(r.accuracy)), .init("learning_rate", .number(r.learningRate)),
        .init("images_per_second", .number(r.imagesPerSecond)),
      ])
    case .epoch(let r):
      .object([
        .init("kind", .string("epoch")), .init("epoch", .integer(r.epoch)), .init("step", .integer(r.step)),
        .init("loss", .number(r.loss)), .init("accuracy", .number(r.accuracy)), .init("learning_rate", .number(r.learningRate)),
        .init("images_per_second", .number(r.imagesPerSecond)), .init("waiting", .number(r.waiting)),
        .init("validation_loss", .number(r.validationLoss)),
        .init("validation_accuracy", .number(r.validationAccuracy)),
      ])
    case .progress: nil
    }
  }
}
