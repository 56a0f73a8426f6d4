import Training

/// The curves of runs over their epochs.
struct ReportCurves {
  let runs: [ReportedRun]

  /// Most epochs for which each has a dot.
  private static let markedEpochs = 12

  /// The curves that have points.
  var figures: [ReportFigure] { [loss, accuracy, learningRate, throughput].compactMap { $0 } }

  /// Whether all runs have finished an epoch, so that the horizontal axis counts epochs. Otherwise it counts steps.
  private var countsEpochs: Bool { runs.allSatisfy { $0.stepsPerEpoch != nil } }

  private var axis: LineChart.Axis { LineChart.Axis(countsEpochs ? "epoch" : "step") }

  private func steps(_ run: ReportedRun, _ value: (StepRecord) -> Double) -> [(x: Double, y: Double)] {
    let unit = countsEpochs ? run.stepsPerEpoch ?? 1 : 1
    return run.records.steps.map { (Double($0.step) / unit, value($0)) }
  }

  private func epochs(_ run: ReportedRun, _ value: (EpochRecord) -> Double) -> [(x: Double, y: Double)] {
    run.records.epochs.map { (Double(countsEpochs ? $0.epoch : $0.step), value($0)) }
  }

  /// Curves of training and validation: of one run with the steps behind them, of several runs in a color for each.
  private func series(
    training: (EpochRecord) -> Double, validation: (EpochRecord) -> Double, step: (StepRecord) -> Double
  ) -> [LineChart.Series] {
    runs.enumerated().flatMap { index, run in
      let (measured, trained) = (epochs(run, validation), epochs(run, training))
      let isShort = measured.count <= Self.markedEpochs
      if runs.count > 1 {
        return [
          LineChart.Series(run.name, measured, hasMarkers: isShort, color: index),
          LineChart.Series(run.name, trained.isEmpty ? steps(run, step) : trained, isDashed: true, color: index),
        ]
      }
      return [
        LineChart.Series("validation", measured, hasMarkers: isShort, color: 0),
        LineChart.Series("training", trained, isDashed: true, color: 1),
        LineChart.Series("training, by step", steps(run, step), isFaint: true, color: 1),
      ].filter { !$0.points.isEmpty }
    }
  }

  private var legend: String {
    runs.count > 1
      ? "Solid: validation images. Dashed: training images, each measured in the step that trains on it."
      : "Training images are measured in the step that trains on them, validation images after each epoch."
  }

  private var loss: ReportFigure? {
    figure(
      "loss", "Loss", LineChart.Axis("mean cross-entropy"),
      series(training: \.loss, validation: \.validationLoss, step: \.loss), caption: legend)
  }

  private var accuracy: ReportFigure? {
    let curves = series(
      training: { 100 * $0.accuracy }, validation: { 100 * $0.validationAccuracy }, step: { 100 * $0.accuracy })
    return figure("accuracy", "Accuracy", LineChart.Axis("images classified rightly, %"), curves, caption: legend)
  }

  private var learningRate: ReportFigure? {
    let curves = runs.enumerated().map { index, run in
      let steps = steps(run, \.learningRate)
      return LineChart.Series(run.name, steps.isEmpty ? epochs(run, \.learningRate) : steps, color: index)
    }
    return figure("learning-rate", "Learning rate", LineChart.Axis("learning rate"), curves, caption: "")
  }

  private var throughput: ReportFigure? {
    let curves = runs.enumerated().map { index, run in
      let epochs = epochs(run, \.imagesPerSecond)
      return LineChart.Series(
        run.name, epochs.count > 1 ? epochs : steps(run, \.imagesPerSecond), hasMarkers: epochs.count <= Self.markedEpochs,
        color: index)
    }
    let most = curves.flatMap { $0.points.map(\.y) }.filter(\.isFinite).max() ?? 0
    let axis = LineChart.Axis("images a second", range: most > 0 ? 0...most * 1.1 : nil)
    return figure(
      "throughput", "Speed of training", axis, curves, caption: "Images a second in the steps of training, without validation.")
  }

  private func figure(
    _ name: String, _ title: String, _ y: LineChart.Axis, _ series: [LineChart.Series], caption: String
  ) -> ReportFigure? {
    guard series.contains(where: { !$0.points.isEmpty }) else { return nil }
    return ReportFigure(name: name, svg: LineChart(title, x: axis, y: y, series).reportSVG, caption: caption)
  }
}
