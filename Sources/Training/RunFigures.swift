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
  /// watches it; nil if none is finished. Epochs whose validation loss is not finite are passed over.
  public var best: EpochRecord?
  /// The last finished epoch; nil if none is finished.
  public var last: EpochRecord?
}

extension RunFolder {
  /// Reads the figures of the run's epochs. A line that was cut off when a run was killed does not count.
  /// - Parameter watch: figure by which the run finds its best epoch.
  /// - Throws: ``Failure`` if the file cannot be read. A run without the file has finished no epoch.
  public func figures(watching watch: RunConfiguration.WatchedFigure = .accuracy) throws -> RunFigures {
    RunFigures(try records(steps: 0).epochs, watching: watch)
  }
}

extension RunFigures {
  /// Finds the figures of finished epochs.
  /// - Parameter watch: figure by which the run finds its best epoch.
  package init(_ records: [EpochRecord], watching watch: RunConfiguration.WatchedFigure) {
    last = records.last
    epochs = records.last?.epoch ?? 0
    for record in records where watch.prefers(record, to: best.map({ ($0.validationAccuracy, $0.validationLoss) })) {
      best = record
    }
  }
}
