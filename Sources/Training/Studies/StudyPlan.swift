import Formats
import Foundation
import Models
import Support

/// Plan of a study: networks that are trained alike, each from several seeds, and then compared.
package struct StudyPlan: Hashable, Codable, Sendable {
  /// Question that the study asks.
  package enum Kind: String, Codable, CaseIterable, Sendable {
    /// Deeper plain networks against deeper residual networks (He et al. 2015, section 4.2).
    case degradation
    /// Norms of gradients and responses of layers with and without shortcuts and normalization (He et al. 2015, section 4.1).
    case gradients
    /// Residual networks of growing depth (He et al. 2015, section 4.2).
    case depth
    /// Types of shortcuts (He et al. 2015, section 4.1).
    case shortcuts
  }

  /// One of the networks.
  package struct Network: Hashable, Codable, Sendable {
    /// Name in tables and figures, and the first part of the names of its runs.
    package let name: String
    package let model: ModelConfiguration
    /// Whether its activations are recomputed, which changes no result.
    package let recompute: Bool

    package init(_ name: String, _ model: ModelConfiguration, recompute: Bool = false) {
      (self.name, self.model, self.recompute) = (name, model, recompute)
    }
  }

  /// Training of one network from one seed.
  package struct Run: Hashable, Sendable {
    package let network: Network
    package let seed: UInt64

    package init(_ network: Network, seed: UInt64) { (self.network, self.seed) = (network, seed) }

    /// Name of its folder.
    package var name: String { "\(network.name)-seed\(seed)" }
  }

  package let kind: Kind
  package let networks: [Network]
  package let seeds: [UInt64]
  /// Settings of all runs. Network, seed and recomputation are those of each run.
  package var recipe: RunConfiguration
  /// Minutes that all runs together may take; nil if the recipe's number of epochs was chosen.
  package let minutes: Double?

  package init(_ kind: Kind, _ networks: [Network], seeds: [UInt64], recipe: RunConfiguration, minutes: Double?) {
    (self.kind, self.networks, self.seeds, self.recipe, self.minutes) = (kind, networks, seeds, recipe, minutes)
  }

  /// All runs. Those of one seed follow each other, so that an early end leaves whole comparisons.
  package var runs: [Run] { seeds.flatMap { seed in networks.map { Run($0, seed: seed) } } }

  /// Returns the settings of a run.
  package func configuration(of run: Run) -> RunConfiguration {
    var settings = recipe
    (settings.model, settings.seed, settings.recompute) = (run.network.model, run.seed, recipe.recompute || run.network.recompute)
    return settings
  }

  // MARK: Comparison

  /// Returns the places in which two plans differ, for example `recipe.optimizer.learningRate`. Where minutes are given, the
  /// epochs follow from them and do not count.
  package func differences(from other: StudyPlan) throws -> [String] {
    var (own, known) = (self, other)
    if minutes != nil && other.minutes == minutes {
      // A warm-up that was not asked for follows from the epochs, too.
      if own.recipe.warmupEpochs == own.recipe.usualWarmup { own.recipe.warmupEpochs = known.recipe.warmupEpochs }
      own.recipe.epochs = known.recipe.epochs
    }
    known.recipe.data.contents = own.recipe.data.contents
    return Self.differences(try own.json(), try known.json(), at: "")
  }

  private func json() throws -> JSON { try JSON(parsing: try jsonText()) }

  private static func differences(_ a: JSON?, _ b: JSON?, at place: String) -> [String] {
    if a == b { return [] }
    guard case .object(let first)? = a, case .object(let second)? = b else { return [place] }
    var keys: [String] = []
    for key in (first + second).map(\.key) where !keys.contains(key) { keys.append(key) }
    return keys.flatMap { differences(a?[$0], b?[$0], at: place.isEmpty ? $0 : "\(place).\($0)") }
  }
}
