import Compute
import Formats
import Support

/// Output of `resnet bench kernels --json`, as far as a later run can be compared with it.
struct BenchReport {
  struct Entry {
    let name: String
    /// Number of calls in a training step; 1 if the file does not say it.
    let training: Int
    /// Seconds of the median run, the shortest and the longest.
    let seconds, shortest, longest: Double
  }

  let device: String
  let entries: [Entry]
  private let members: [JSON.Member]

  init(
    device: String, model: String, images: Shape, peaks: (flops: Double, bytes: Double)?, _ figures: [OperationFigures]
  ) {
    self.device = device
    entries = figures.map {
      Entry(
        name: $0.record.name, training: $0.training, seconds: $0.seconds, shortest: $0.times.min() ?? $0.seconds,
        longest: $0.times.max() ?? $0.seconds)
    }
    members = [
      .init("device", .string(device)), .init("model", .string(model)), .init("batch_size", .integer(images[0])),
      .init("image_size", .integer(images[1])), .init("channels", .integer(images[3])),
      .init("peak_gflops", peaks.map { .number($0.flops / 1e9) } ?? .null),
      .init("peak_gbps", peaks.map { .number($0.bytes / 1e9) } ?? .null),
      .init("kernels", .array(zip(figures, entries).map { Self.describe($0, $1, peaks) })),
      .init("train_seconds", .number(figures.reduce(0) { $0 + Double($1.training) * $1.seconds })),
      .init("infer_seconds", .number(figures.reduce(0) { $0 + Double($1.inference) * $1.seconds })),
    ]
  }

  private static func describe(
    _ figures: OperationFigures, _ entry: Entry, _ peaks: (flops: Double, bytes: Double)?
  ) -> JSON {
    .members([
      "name": .string(entry.name), "train_count": .integer(figures.training), "infer_count": .integer(figures.inference),
      "seconds": .number(entry.seconds), "shortest_seconds": .number(entry.shortest), "longest_seconds": .number(entry.longest),
      "gflops": .number(figures.flops / entry.seconds / 1e9), "gbps": .number(Double(figures.record.bytes) / entry.seconds / 1e9),
      "macs": .integer(figures.record.macs), "least_bytes": .integer(figures.record.bytes),
      "moved_bytes": figures.moved.map(JSON.integer) ?? .null,
      "share": peaks.map { .number(figures.share($0)) } ?? .null, "kernels": .array(figures.kernels.map(JSON.string)),
    ])
  }

  func json(_ comparison: Comparison?) -> JSON {
    .object(members + (comparison.map { [.init("comparison", $0.json)] } ?? []))
  }

  /// Reads a file that was printed earlier.
  /// - Throws: ``Failure`` if the file cannot be read or is not such a report.
  init(contentsOf path: String) throws {
    let file = try InputFile(path)
    let text = try file.read(file.byteCount, at: 0)
    func wrong(_ reason: Message, _ kind: Failure.Kind = .damagedFile) -> Failure {
      Failure(kind, "\(path) is not from `resnet bench kernels --json`: \(reason)")
    }
    let value: JSON
    do { value = try JSON(parsing: text) } catch let failure as Failure {
      throw wrong("\(failure)", failure.kind)
    }
    guard case .string(let device) = value["device"] else { throw wrong("it names no device") }
    guard case .array(let kernels) = value["kernels"] else { throw wrong("it has no list of kernels") }
    self.device = device
    entries = try kernels.enumerated().map { index, kernel in
      guard case .string(let name) = kernel["name"], let seconds = kernel["seconds"]?.positive else {
        throw wrong("entry \(index) of kernels lacks a name or its seconds")
      }
      var training = 1
      if case .integer(let count) = kernel["train_count"] { training = count }
      return Entry(
        name: name, training: training, seconds: seconds, shortest: kernel["shortest_seconds"]?.positive ?? seconds,
        longest: kernel["longest_seconds"]?.positive ?? seconds)
    }
    members = []
  }
}

extension JSON {
  /// Value of a number above zero; nil for anything else.
  fileprivate var positive: Double? {
    switch self {
    case .integer(let value) where value > 0: Double(value)
    case .number(let value) where value > 0: value
    default: nil
    }
  }
}

/// Comparison of two reports, operation by operation.
///
/// A change counts if it exceeds the spread of both reports: the slowest run of one is faster than the fastest run of the other.
struct Comparison {
  struct Change {
    let name: String
    let old, new: Double
    /// Additional seconds of a training step, or of inference if the operation does not occur in a training step.
    let effect: Double
  }

  let devices: (old: String, new: String)
  /// Changes, the largest effect first.
  let slower, faster: [Change]
  /// Number of operations whose change is within the spread.
  let unchanged: Int
  /// Operations that are only in the old report, and only in the new one.
  let missing, added: [String]

  init(old: BenchReport, new: BenchReport) {
    devices = (old.device, new.device)
    let before = Dictionary(old.entries.map { ($0.name, $0) }) { first, _ in first }
    var (slower, faster, unchanged) = ([Change](), [Change](), 0)
    for entry in new.entries {
      guard let past = before[entry.name] else { continue }
      let effect = (entry.seconds - past.seconds) * Double(max(1, entry.training))
      let change = Change(name: entry.name, old: past.seconds, new: entry.seconds, effect: effect)
      if entry.shortest > past.longest {
        slower.append(change)
      } else if entry.longest < past.shortest {
        faster.append(change)
      } else {
        unchanged += 1
      }
    }
    self.slower = slower.sorted { $0.effect > $1.effect }
    self.faster = faster.sorted { $0.effect < $1.effect }
    self.unchanged = unchanged
    let names = Set(new.entries.map(\.name))
    missing = old.entries.map(\.name).filter { !names.contains($0) }
    added = new.entries.map(\.name).filter { before[$0] == nil }
  }

  func text(oldName: String) -> String {
    var lines = ["compared with \(oldName):"]
    if devices.old != devices.new { lines.append("the devices differ: \(devices.old) then, \(devices.new) now") }
    for (title, changes) in [("slower", slower), ("faster", faster)] where !changes.isEmpty {
      var table = Table([title, "ms then", "ms now", "now/then", "ms a step"])
      for change in changes {
        table.add([
          change.name, fixed(change.old * 1e3, 3), fixed(change.new * 1e3, 3), fixed(change.new / change.old, 2),
          (change.effect > 0 ? "+" : "") + fixed(change.effect * 1e3, 2),
        ])
      }
      lines.append(table.text)
    }
    lines.append("\(slower.count) slower, \(faster.count) faster, \(unchanged) within the spread of the runs")
    if !added.isEmpty || !missing.isEmpty { lines.append("only now: \(added.count), only then: \(missing.count)") }
    return lines.joined(separator: "\n")
  }

  var json: JSON {
    func list(_ changes: [Change]) -> JSON {
      .array(
        changes.map {
          .members(["name": .string($0.name), "old_seconds": .number($0.old), "new_seconds": .number($0.new)])
        })
    }
    return .members([
      "old_device": .string(devices.old), "slower": list(slower), "faster": list(faster), "unchanged": .integer(unchanged),
      "only_new": .array(added.map(JSON.string)), "only_old": .array(missing.map(JSON.string)),
    ])
  }
}
