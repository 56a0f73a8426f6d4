import Foundation
import Support

/// All records of a run, by its `metrics.jsonl`, in the order in which they were written.
///
/// ```swift
/// for epoch in try RunFolder(existing: "runs/flowers").records().epochs { print(epoch.epoch, epoch.validationLoss) }
/// ```
public struct RunRecords: Hashable, Sendable {
  public var steps: [StepRecord] = []
  public var epochs: [EpochRecord] = []
}

extension RunFolder {
  /// Reads the records of the run. A line that was cut off when a run was killed does not count.
  /// - Parameter limit: maximum number of records of steps. Of more, every second, third … is taken, and the last one.
  /// - Throws: ``Failure`` if the file cannot be read. A run without the file has no records.
  public func records(steps limit: Int = .max) throws -> RunRecords {
    guard InputFile.exists(metricsPath) else { return RunRecords() }
    let lines = try InputFile(metricsPath).read().split(separator: UInt8(ascii: "\n"))
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    func decoded<Record: Decodable>(_ lines: [ArraySlice<UInt8>]) -> [Record] {
      lines.compactMap { try? decoder.decode(Record.self, from: Data($0)) }
    }
    func found(_ kind: String) -> [ArraySlice<UInt8>] {
      let begin = Array("{\"kind\":\"\(kind)\"".utf8)
      return lines.filter { $0.starts(with: begin) && $0.last == UInt8(ascii: "}") }
    }
    let steps = limit > 0 ? found("step") : []
    let every = limit > 0 ? max(0, steps.count - 1) / limit + 1 : 1
    let taken = steps.indices.filter { $0 % every == every - 1 || $0 == steps.count - 1 }.map { steps[$0] }
    return RunRecords(steps: decoded(taken), epochs: decoded(found("epoch")))
  }
}
