import Foundation
import Support
import Training

/// Finding about the gradients or the responses of a network's layers, in sentences.
package struct GradientFinding: Sendable {
  /// Course of a figure from the first layers to the last.
  package enum Course: Hashable, Sendable {
    /// The first third is smaller than the last by more than ``factor``.
    case growsWithDepth
    /// The first third is larger than the last by more than ``factor``.
    case fallsWithDepth
    case steady
    /// Some values are zero.
    case isZero(layers: Int)
    /// Some values are not finite.
    case isNotFinite(layers: Int)
  }

  /// Factor between the first and the last third of the layers from which on values vanish or explode.
  package static let factor = 100.0

  package let first, last: Double?
  package let smallest, largest: Double?
  package let course: Course
  /// Median of the first third of the layers, divided by that of the last third; nil if it is no number.
  package let ratio: Double?

  /// - Parameter values: one value for each layer, from the input on; nil for one that is not finite.
  package init(_ values: [Double?]) {
    let known = values.compactMap { $0 }
    (first, last) = (values.first ?? nil, values.last ?? nil)
    (smallest, largest) = (known.min(), known.max())
    let third = max(1, values.count / 3)
    let ends = [values.prefix(third), values.suffix(third)].map { part in
      let known = part.compactMap { $0 }
      return known.isEmpty ? nil : known.median
    }
    let ratio = ends[0].flatMap { head in ends[1].flatMap { $0 > 0 && head.isFinite ? head / $0 : nil } }
    self.ratio = ratio
    let zeros = known.count { $0 == 0 }
    course =
      known.count < values.count
      ? .isNotFinite(layers: values.count - known.count)
      : zeros > 0
        ? .isZero(layers: zeros)
        : (ratio ?? 1) < 1 / Self.factor ? .growsWithDepth : (ratio ?? 1) > Self.factor ? .fallsWithDepth : .steady
  }

  /// Sentence about gradients. They come from the last layer, so what is smaller in the first layers vanishes on the way.
  package func gradients(of name: String, _ moment: String, layers: Int) -> String {
    sentence(
      "\(name), \(moment): norms of gradients", layers, growing: "they vanish toward the input",
      falling: "they explode toward the input", steady: "they neither vanish nor explode: first and last layers")
  }

  /// Sentence about the standard deviations of responses, which go from the input on.
  package func responses(of name: String, _ moment: String, layers: Int) -> String {
    sentence(
      "\(name), \(moment): standard deviations of responses", layers, growing: "they grow toward the output",
      falling: "they shrink toward the output", steady: "first and last layers")
  }

  private func sentence(_ subject: String, _ layers: Int, growing: String, falling: String, steady: String) -> String {
    let factor = ratio.map { short($0 < 1 ? 1 / $0 : $0, digits: 2) } ?? "–"
    let what =
      switch course {
      case .isNotFinite(let count): "they are not finite in \(count) of \(layers) layers"
      case .isZero(let count): "they are zero in \(count) of \(layers) layers"
      case .growsWithDepth: "\(growing), by a factor of \(factor)"
      case .fallsWithDepth: "\(falling), by a factor of \(factor)"
      case .steady: "\(steady) differ by a factor of \(factor)"
      }
    return "\(subject) \(Self.text(smallest)) to \(Self.text(largest)); \(what)."
  }

  private static func text(_ value: Double?) -> String { value.map { short($0, digits: 2) } ?? "–" }
}

/// The layers of a study's networks, at several moments.
package struct GradientFindings: Sendable {
  /// Figures of one network's layers at one moment.
  package struct Moment: Sendable {
    package let network, moment: String
    /// Norms of the gradients of the convolutions' filters, from the input on.
    package let gradients: [Double?]
    /// Standard deviations of responses and activations; empty if they were not measured.
    package let responses, activations: [Double?]
  }

  /// First moment of a run, and its last one.
  package static let (initial, final) = ("at initialization", "at the end")
  package let moments: [Moment]

  /// Takes the first seed of each network that has probes.
  package init(_ results: [StudyResult]) {
    moments = results.flatMap { result -> [Moment] in
      guard let run = result.runs.first(where: { $0.probes != nil }), let probes = run.probes else { return [] }
      let names = Set(probes.initial.layers.map { "\($0.name).weight" })
      // The probe at the end stands for the last epoch.
      let between = run.layers.dropLast(probes.last == nil ? 0 : 1).map { record in
        Moment(
          network: result.name, moment: "after epoch \(record.epoch)",
          gradients: record.parameters.filter { names.contains($0.name) }.map { $0.gradient.isFinite ? $0.gradient : nil },
          responses: [], activations: [])
      }
      func moment(_ name: String, _ probe: LayerProbe) -> Moment {
        Moment(
          network: result.name, moment: name, gradients: probe.layers.map(\.gradient), responses: probe.layers.map(\.response),
          activations: probe.layers.map(\.activation))
      }
      return [moment(Self.initial, probes.initial)] + between + (probes.last.map { [moment(Self.final, $0)] } ?? [])
    }
  }

  /// Moments at the beginning and the end of each network's training.
  private var ends: [Moment] { moments.filter { $0.moment == Self.initial || $0.moment == Self.final } }

  package var text: String {
    var lines = ends.map { GradientFinding($0.gradients).gradients(of: $0.network, $0.moment, layers: $0.gradients.count) }
    lines += ends.map { GradientFinding($0.responses).responses(of: $0.network, $0.moment, layers: $0.responses.count) }
    return (lines + [conclusion]).filter { !$0.isEmpty }.joined(separator: "\n")
  }

  /// Sentences about the plain networks with batch normalization.
  private var conclusion: String {
    let plain = ends.filter { $0.network.hasPrefix("plain") && $0.network.hasSuffix("-bn") }
    if plain.isEmpty { return "" }
    /// Returns the first moment with one of these courses.
    func first(_ isSought: (GradientFinding.Course) -> Bool) -> Moment? {
      plain.first { isSought(GradientFinding($0.gradients).course) }
    }
    let beginning = "With batch normalization, the gradients of the plain network"
    if let moment = first({ if case .isNotFinite = $0 { true } else { false } }) {
      return "\(beginning) are not finite \(moment.moment)."
    }
    let vanishing = first { course in
      if case .isZero = course { true } else { course == .growsWithDepth }
    }
    if let vanishing { return "\(beginning) vanish \(vanishing.moment), unlike those of He et al. 2015, section 4.1." }
    let asWritten =
      "\(beginning) do not vanish, as He et al. 2015 say in section 4.1: vanishing gradients are not what makes it hard to train."
    return first { $0 == .fallsWithDepth }.map {
      let theory = ", as Yang et al. 2019 derive for batch normalization without shortcuts"
      return "\(asWritten) They explode toward the input \($0.moment)\($0.moment == Self.initial ? theory : "")."
    } ?? asWritten
  }

  /// Table of the moments of all networks.
  var table: String {
    var table = Table(["network", "moment", "first layer", "last layer", "smallest", "largest", "first/last third"])
    for moment in moments {
      let finding = GradientFinding(moment.gradients)
      let values = [finding.first, finding.last, finding.smallest, finding.largest, finding.ratio]
      table.add([moment.network, moment.moment] + values.map { $0.map { short($0, digits: 3) } ?? "–" })
    }
    return table.text
  }

  /// Rows of a CSV file: one for each layer at each moment.
  var csv: String {
    func text(_ values: [Double?], _ index: Int) -> String {
      (index < values.count ? values[index] : nil).map { "\($0)" } ?? ""
    }
    return CSV.row(["network", "moment", "layer", "gradient_norm", "response_deviation", "activation_deviation"])
      + moments.flatMap { moment in
        moment.gradients.indices.map { index in
          CSV.row([
            moment.network, moment.moment, "\(index + 1)", text(moment.gradients, index), text(moment.responses, index),
            text(moment.activations, index),
          ])
        }
      }.joined()
  }

  // MARK: Figures

  /// Returns the figures with the ends of their files' names.
  var figures: [(name: String, figure: ChartFigure)] {
    let names = ends.reduce(into: [String]()) { if !$0.contains($1.network) { $0.append($1.network) } }
    let middles = moments.map(\.moment).filter { $0.hasPrefix("after") }
    let shown = [Self.initial] + middles.prefix(1) + [Self.final]
    func panel(_ moment: String, _ values: (Moment) -> [Double?], _ y: String, _ suffix: String = "") -> LineChart {
      LineChart(
        moment, x: .init("layer"), y: .init(y, .logarithmic),
        moments.filter { $0.moment == moment }.map {
          LineChart.Series($0.network + suffix, points(values($0)), color: names.firstIndex(of: $0.network))
        })
    }
    let responses = [Self.initial, Self.final].map { moment in
      var chart = panel(moment, \.responses, "standard deviation", " response")
      chart.series += panel(moment, \.activations, "", " activation").series.map {
        var series = $0
        series.isDashed = true
        return series
      }
      return chart
    }
    return [
      ("gradients", ChartFigure("Norm of each layer's gradient", shown.map { panel($0, \.gradients, "norm of the gradient") })),
      ("responses", ChartFigure("Responses of the layers", responses)),
    ]
  }

  private func points(_ values: [Double?]) -> [(x: Double, y: Double)] {
    values.enumerated().map { (Double($0 + 1), $1 ?? .nan) }
  }
}
