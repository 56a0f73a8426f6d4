import Foundation
import Support
import Training

/// Figures of one network of a study, from all its seeds.
package struct StudyResult: Sendable {
  /// One run, as far as it went.
  package struct Run: Sendable {
    package let seed: UInt64
    /// nil if it has not ended.
    package let outcome: StudyFolder.Outcome?
    package let epochs: [EpochRecord]
    package let layers: [LayerRecord]
    package let probes: RunProbes?

    package init(
      seed: UInt64, _ outcome: StudyFolder.Outcome?, epochs: [EpochRecord] = [], layers: [LayerRecord] = [],
      probes: RunProbes? = nil
    ) {
      (self.seed, self.outcome, self.epochs, self.layers, self.probes) = (seed, outcome, epochs, layers, probes)
    }

    package var isFinished: Bool { outcome == .finished }
    package var hasDiverged: Bool { if case .diverged = outcome { true } else { false } }
  }

  package let network: StudyPlan.Network
  package let runs: [Run]

  package init(_ network: StudyPlan.Network, _ runs: [Run]) { (self.network, self.runs) = (network, runs) }

  /// Reads the results of a study.
  /// - Throws: ``Failure`` if a file cannot be read.
  static func all(_ folder: StudyFolder) throws -> [StudyResult] {
    try folder.plan.networks.map { network in
      let runs = try folder.plan.runs.filter { $0.network == network }.map { run in
        let files = folder.folder(of: run)
        return Run(
          seed: run.seed, folder.outcome(of: run), epochs: try files.records(steps: 0).epochs, layers: try files.layers(),
          probes: try files.probes())
      }
      return StudyResult(network, runs)
    }
  }

  package var name: String { network.name }
  var divergedCount: Int { runs.count(where: \.hasDiverged) }
  private var finished: [EpochRecord] { runs.filter(\.isFinished).compactMap(\.epochs.last) }

  /// Errors in percent after the last epoch of the finished runs: on the training images while they were trained on, and on the
  /// images that are validated on.
  package var training: Sample { Sample(finished.map { 100 * (1 - $0.accuracy) }) }
  package var test: Sample { Sample(finished.map { 100 * (1 - $0.validationAccuracy) }) }
}

/// Text of a mean in percent with its standard deviation, for example `8.31 ± 0.12`.
func meanText(_ sample: Sample) -> String {
  guard sample.count > 0 else { return "–" }
  return fixed(sample.mean, 2) + (sample.deviation.map { " ± \(fixed($0, 2))" } ?? "")
}
