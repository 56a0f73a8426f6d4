import Support
import Training

/// Figures of errors against iterations, as in figure 6 of He et al. 2015: training dashed, test solid.
enum ErrorFigures {
  /// Returns the figures of a study with the ends of their files' names.
  static func all(_ kind: StudyPlan.Kind, _ results: [StudyResult]) -> [(name: String, figure: ChartFigure)] {
    let subject = "Error while training"
    switch kind {
    case .degradation:
      let half = results.count / 2
      let (plain, residual) = (Array(results[..<half]), Array(results[half...]))
      // Networks of one depth have one color in both panels.
      return [
        ("panels", ChartFigure(subject, [panel("plain", plain), panel("residual", residual)].limited)),
        ("together", ChartFigure(subject, [panel("", results)].limited)),
      ]
    case .depth:
      return [
        ("curves", ChartFigure(subject, [panel("", results)].limited)),
        ("depth", ChartFigure("Error by depth", [byDepth(results)])),
      ]
    case .shortcuts, .gradients: return [("curves", ChartFigure(subject, [panel("", results)].limited))]
    }
  }

  private static func panel(_ title: String, _ results: [StudyResult]) -> LineChart {
    LineChart(
      title, x: .init("iteration"), y: .init("error (%)"),
      results.enumerated().flatMap { index, result in
        [
          series("\(result.name) training", result, isDashed: true, color: index) { $0.accuracy },
          series("\(result.name) test", result, isDashed: false, color: index) { $0.validationAccuracy },
        ]
      })
  }

  private static func series(
    _ name: String, _ result: StudyResult, isDashed: Bool, color: Int, _ accuracy: (EpochRecord) -> Double
  ) -> LineChart.Series {
    LineChart.Series(
      name, meanOf: result.runs.map { $0.epochs.map { (Double($0.step), 100 * (1 - accuracy($0))) } }.filter { !$0.isEmpty },
      isDashed: isDashed, color: color)
  }

  private static func byDepth(_ results: [StudyResult]) -> LineChart {
    func series(_ name: String, _ sample: (StudyResult) -> Sample, isDashed: Bool) -> LineChart.Series {
      let points = results.compactMap { result -> (x: Double, sample: Sample)? in
        guard let depth = Double(result.network.model.name.drop { !$0.isNumber }), sample(result).count > 0 else { return nil }
        return (depth, sample(result))
      }
      var series = LineChart.Series(name, points.map { ($0.x, $0.sample.mean) }, isDashed: isDashed, hasMarkers: true, color: 0)
      if points.contains(where: { $0.sample.count > 1 }) {
        series.band = points.map { ($0.x, $0.sample.values.min() ?? 0, $0.sample.values.max() ?? 0) }
      }
      return series
    }
    return LineChart(
      "", x: .init("layers", .logarithmic), y: .init("error (%)"),
      [series("training", \.training, isDashed: true), series("test", \.test, isDashed: false)])
  }
}

extension [LineChart] {
  /// Panels whose y axis leaves out the large errors of the first quarter of the iterations, which would press the rest flat.
  fileprivate var limited: [LineChart] {
    let points = flatMap { $0.series.flatMap(\.points) }
    let end = points.map(\.x).max() ?? 0
    let late = points.filter { $0.x >= end / 4 }.map(\.y)
    guard let high = late.max(), let low = late.min() else { return self }
    let margin = Swift.max(0.05 * (high - low), 0.01)
    return map { chart in
      var chart = chart
      chart.y.range = Swift.max(0, low - margin)...Swift.max(high + margin, 0.1)
      return chart
    }
  }
}
