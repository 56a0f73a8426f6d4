import Compute
import Formats
import Foundation

/// The file `metrics.jsonl`: one JSON object a line, written as it happens.
final class MetricsLog {
  private let path: String
  private var file: FileHandle

  /// Opens the log at `path`, keeping the lines up to and including `step`: what a run that was cut off wrote after its last
  /// checkpoint is going to be written again.
  init(path: String, keepingThrough step: Int) throws {
    self.path = path
    var kept = ""
    if step > 0, FileManager.default.fileExists(atPath: path) {
      let text: String
      do { text = try String(contentsOfFile: path, encoding: .utf8) } catch {
        throw Failure("cannot read \(path): \(error.localizedDescription)")
      }
      for line in text.split(separator: "\n") {
        guard let value = try? JSON(parsing: Array(line.utf8)), case .integer(let at)? = value["step"], at <= step else { continue }
        kept += line + "\n"
      }
    }
    try AtomicFile.write(kept, to: path)
    guard let file = FileHandle(forWritingAtPath: path) else { throw Failure("cannot write \(path)") }
    self.file = file
    do { try file.seekToEnd() } catch { throw Failure("cannot write \(path): \(error.localizedDescription)") }
  }

  func write(_ event: TrainingEvent) throws {
    let line = "\(event.json)\n"
    do { try file.write(contentsOf: Data(line.utf8)) } catch {
      throw Failure("cannot write \(path): \(error.localizedDescription)")
    }
  }
}

extension TrainingEvent {
  /// The event with the keys that scripts rely on.
  var json: JSON {
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
        .init("images_per_second", .number(r.imagesPerSecond)), .init("validation_loss", .number(r.validationLoss)),
        .init("validation_accuracy", .number(r.validationAccuracy)),
      ])
    }
  }
}
