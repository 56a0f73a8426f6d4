import ArgumentParser
import ResNetKit
import Support
import Training

/// Option `--find-rate`.
extension TrainCommand {
  /// Trains with a rising learning rate, prints the losses and a suggestion, and draws the curve. Nothing else is kept.
  /// - Throws: ``Failure`` if no rate lowers the loss; the picture is then there, too.
  func searchRate(_ prepared: TrainingSetup.Prepared, drawing path: String) throws {
    try AtomicFile.requireWritable(path)
    var search = try RateSearch(for: prepared.configuration)
    let leftOut = LeftOutImages()
    let session = try TrainingSession(
      prepared, device: device.place(tuning.mode), folder: nil, onDamage: leftOut.add)
    describe(session)
    guard try trainSteps(of: &search, in: session) else {
      printError("stopped; nothing was written")
      throw Signals.exitCode
    }
    leftOut.finish()
    let (first, last) = (search.rates[0], search.points.last?.rate ?? search.rates[0])
    if search.points.count < search.rates.count {
      printNote("ended at a learning rate of \(short(last, digits: 2)), as the loss had grown to several times its lowest value")
    }
    try AtomicFile.write(chart(of: search, session.configuration).svg, to: path)
    print("\(path): the loss at every rate")
    guard let found = search.suggestion else {
      throw Failure(
        .notFound, "no learning rate from \(short(first)) to \(short(last, digits: 2)) lowers the loss",
        remedy: "look at the labels and the initial weights, or take a larger \(Setting.batchSize), which makes losses vary less")
    }
    print(
      "suggested: --learning-rate \(short(found.steepest, digits: 2)), where the loss falls fastest; its average is lowest at "
        + "\(short(found.lowest, digits: 2)), a tenth of which, \(short(found.lowest / 10, digits: 2)), is another usual choice")
  }

  /// Trains with the rates of a search, and shows the progress and a table of losses.
  /// - Returns: false if a signal stopped it.
  private func trainSteps(of search: inout RateSearch, in session: TrainingSession) throws -> Bool {
    let steps = search.rates.count
    let rowSpacing = max(1, steps / 12)
    var step = 0
    printNote(Self.row("learning rate", "loss", "smoothed loss"))
    Display.shared.begin(.searching, of: steps)
    defer { Display.shared.finish() }
    let builds = BuildLog(watching: session.backend)
    func report(_ point: RateSearch.Point) {
      builds.endWatching(session.backend)
      let rate = short(point.rate, digits: 2)
      if step % rowSpacing == 0 { printNote(Self.row(rate, fixed(point.loss, 4), fixed(point.smoothed, 4))) }
      step += 1
      Display.shared.advance(.searching, to: step, of: steps, "rate \(rate)  loss \(lossText(point.smoothed))")
    }
    return try session.trainer.search(&search, shouldStop: { Signals.pending != nil }, report: report)
  }

  /// Returns a line of the table of losses.
  private static func row(_ cells: String...) -> String {
    cells.map { String(repeating: " ", count: max(0, 13 - $0.count)) + $0 }.joined(separator: "  ")
  }

  private func chart(of search: RateSearch, _ run: RunConfiguration) -> LineChart {
    let (points, found) = (search.points, search.suggestion)
    // The losses after the lowest one grow without limit, and would press the rest of the curve flat.
    let falling = points.prefix { $0.rate <= found?.lowest ?? .infinity }
    let losses = falling.map(\.loss)
    let (low, average) = (losses.min() ?? 0, falling.map(\.smoothed).max() ?? 1)
    let high = max(low, min(losses.max() ?? 1, 1.5 * average))
    let margin = max(0.1 * (high - low), 1e-3 * high)
    return LineChart(
      "Loss of \(run.model.name) on \(run.data.name) while the learning rate rises",
      x: LineChart.Axis("learning rate", .logarithmic),
      y: LineChart.Axis("loss", range: max(0, low - margin)...high + margin),
      [
        LineChart.Series("loss of a batch", points.map { ($0.rate, $0.loss) }, isFaint: true),
        LineChart.Series("smoothed", points.map { ($0.rate, $0.smoothed) }),
      ],
      marks: found.map {
        [
          LineChart.Mark($0.steepest, "falls fastest: \(short($0.steepest, digits: 2))"),
          LineChart.Mark($0.lowest, "lowest: \(short($0.lowest, digits: 2))"),
        ]
      } ?? [])
  }
}
