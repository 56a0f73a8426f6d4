import Formats
import Support

/// Log file of a run, such as `metrics.jsonl`: one JSON object a line, written when the event happens.
final class MetricsLog {
  private let path: String
  /// The open file, which another thread may synchronize with the disk.
  let file: AppendingFile
  /// Lines that could not be written yet.
  private var pending: [UInt8] = []
  /// Notes for the user about lines that are missing or unreadable.
  private(set) var notes: [String] = []

  /// Opens the log at `path` and keeps the lines up to the run's position. Lines that an interrupted run wrote after its last
  /// state are dropped, as they will be written again.
  /// - Parameter holdsEpochs: whether the log has a line for each epoch.
  init(path: String, keepingThrough position: RunFolder.Position, holdsEpochs: Bool = false) throws {
    self.path = path
    var (kept, unreadable, epochs) = ("", [Int](), 0)
    if position.step > 0, InputFile.exists(path) {
      let text = String(decoding: try InputFile(path).read(), as: UTF8.self)
      let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
      for (index, line) in lines.enumerated() where !line.isEmpty {
        if let record = try? JSON(parsing: String(line)), case .integer(let step)? = record["step"] {
          let epoch = Self.epoch(of: record)
          guard step <= position.step, epoch ?? 0 <= position.epoch else { continue }
          if epoch != nil { epochs += 1 }
          kept += line + "\n"
        } else if index + 1 < lines.count {
          unreadable.append(index + 1)
        }
        // A last line without a line feed was cut off when the run was killed.
      }
    }
    if !unreadable.isEmpty {
      let shown = unreadable.prefix(3).map(String.init).joined(separator: ", ") + (unreadable.count > 3 ? ", …" : "")
      notes.append("\(path): line \(shown) cannot be read and is left out")
    }
    if holdsEpochs, epochs < position.epoch {
      notes.append(
        "\(path) has \(epochs) of the \(position.epoch) epochs that are done: the others are lost, and the run goes on")
    }
    try AtomicFile.write(kept, to: path)
    file = try AppendingFile(path)
  }

  /// Returns the number of the epoch whose figures a line holds; nil for a line of another kind.
  private static func epoch(of record: JSON) -> Int? {
    guard record["kind"] == .string("epoch"), case .integer(let epoch)? = record["epoch"] else { return nil }
    return epoch
  }

  /// Writes an event, if it is a record.
  func write(_ event: TrainingEvent) { if let json = event.json { write(json) } }

  /// Writes a line. If that fails, it is kept, and written with the next one; ``flush()`` tells the reason.
  func write(_ json: JSON) {
    pending += Array("\(json.description)\n".utf8)
    do { try flush() } catch {
      // The lines are kept. The next save of the state tries again and reports the failure.
    }
  }

  /// Whether all lines are written.
  var isWritten: Bool { pending.isEmpty }

  /// The whole log with the lines that could not be written yet; nil if it cannot be read.
  var whole: RunFile? {
    guard let written = try? InputFile(path).read() else { return nil }
    return RunFile(path: path, contents: .text(String(decoding: written + pending, as: UTF8.self)))
  }

  /// Writes the lines that could not be written before.
  /// - Throws: ``Failure`` that names the file and the reason; the lines are kept then.
  func flush() throws {
    if pending.isEmpty { return }
    try file.write(pending)
    pending = []
  }
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
