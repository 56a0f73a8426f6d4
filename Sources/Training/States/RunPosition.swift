extension RunFolder {
  /// Position of a run: all it needs, besides tensors, to go on as if it had not stopped.
  struct Position: Hashable, Codable, Sendable {
    /// Number of steps done; `epoch` is the number of epochs trained and validated.
    var step = 0
    /// Number of the steps that had images; nil for all.
    var updates: Int?
    var epoch = 0
    /// Σ loss, Σ correct and number of images of the current epoch.
    var lossSum = 0.0
    var hits = 0.0
    var images = 0
    /// Sums since the last record of the log; nil if there were no images since.
    var recent: Recent?
    var bestAccuracy = -1.0
    /// Validation loss of the best epoch, and its number from 1; nil if there is none, or an earlier version saved the run.
    var bestLoss: Double?
    var bestEpoch: Int?
    /// Number of steps that were left out, as a number in them was not finite; nil for none.
    var leftOut: Int?
    /// Number of the last steps in a row that were left out; nil for none.
    var faultsInARow: Int?
    /// Number of epochs since the watched figure improved, if the run ends after some.
    var staleEpochs: Int?

    /// Σ loss, Σ correct and number of images of the steps since the last record of the log.
    struct Recent: Hashable, Codable, Sendable {
      var lossSum, hits: Double
      var images: Int
    }

    /// Whether a run can have reached these sums. More than 2⁵³ images could not be counted exactly.
    var isPossible: Bool {
      Self.arePossible(lossSum, hits, images) && (recent.map { Self.arePossible($0.lossSum, $0.hits, $0.images) } ?? true)
        && (-1...1).contains(bestAccuracy) && (0...RunConfiguration.mostEpochs).contains(epoch)
        && (0...epoch).contains(staleEpochs ?? 0) && step >= 0 && (updates.map { (0...step).contains($0) } ?? true)
        && (0...step).contains(leftOut ?? 0) && (0...(leftOut ?? 0)).contains(faultsInARow ?? 0)
        && (bestLoss.map { $0 >= 0 && $0.isFinite } ?? true) && (bestEpoch.map { (1...max(1, epoch)).contains($0) } ?? true)
    }

    private static func arePossible(_ lossSum: Double, _ hits: Double, _ images: Int) -> Bool {
      // The shares of mixed labels are rounded, so their sum may exceed the number of images slightly.
      (0...1 << 53).contains(images) && (0...Double(images) * 1.001).contains(hits) && lossSum >= 0 && lossSum.isFinite
    }
  }
}
