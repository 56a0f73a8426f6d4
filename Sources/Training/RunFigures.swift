import Foundation
import Support

/// Figures that a run has reached so far, by its `metrics.jsonl`.
///
/// ```swift
/// let figures = try RunFolder(existing: "runs/flowers").figures()
/// print(figures.epochs, figures.best?.validationAccuracy ?? 0)
/// ```
public struct RunFigures: Hashable, Sendable {
  /// Number of finished epochs.
  public var epochs = 0
  /// The best epoch: that with the highest accuracy, of equal ones that with the lower loss, or that with the lowest loss if the run
  /// watches it; nil if none is finished.
  public var best: EpochRecord?
  /// The last finished epoch; nil if none is finished.
  public var last: EpochRecord?
}

extension RunFolder {
  /// Reads the figures of the run's epochs. A line that was cut off when a run was killed does not count.
  /// - Parameter watch: figure by which the run finds its best epoch.
  /// - Throws: ``Failure`` if the file cannot be read. A run without the file has finished no epoch.
  public func figures(watching watch: RunConfiguration.WatchedFigure = .accuracy) throws -> RunFigures {
    var figures = RunFigures()
    for epoch in try epochRecords() {
      figures.last = epoch
      figures.epochs = epoch.epoch
      if watch.prefers(epoch, to: figures.best.map { ($0.validationAccuracy, $0.validationLoss) }) { figures.best = epoch }
    }
    return figures
  }

  /// Reads the records of the run's finished epochs. A line that was cut off when a run was killed does not count.
  /// - Throws: ``Failure`` if the file cannot be read. A run without the file has finished no epoch.
  public func epochRecords() throws -> [EpochRecord] {
    guard InputFile.exists(metricsPath) else { return [] }
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return String(decoding: try InputFile(metricsPath).read(), as: UTF8.self).split(separator: "\n")
      .filter { $0.contains("\"kind\":\"epoch\"") }.compactMap { try? decoder.decode(EpochRecord.self, from: Data($0.utf8)) }
  }
}
