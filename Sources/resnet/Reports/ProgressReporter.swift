import Glibc
import Support
import Training

/// Shows a run's progress: one line that is overwritten on a terminal, otherwise a line now and then.
final class ProgressReporter {
  private let epochs, stepsPerEpoch, totalSteps: Int
  private let isTerminal = isatty(STDOUT_FILENO) == 1
  /// First step that was reported. The time before it, mostly spent on building kernels, says nothing about the steps to come.
  private var first: (step: Int, time: ContinuousClock.Instant)?
  private var lastLine = ContinuousClock.now
  private var lineIsOpen = false

  init(stepsPerEpoch: Int, totalSteps: Int) {
    self.epochs = (totalSteps + stepsPerEpoch - 1) / stepsPerEpoch
    self.stepsPerEpoch = stepsPerEpoch
    self.totalSteps = totalSteps
  }

  func report(_ event: TrainingEvent) {
    switch event {
    case .step(let record): report(record)
    case .epoch(let record): report(record)
    case .progress: break
    }
  }

  /// Ends a line that was being overwritten.
  func finish() {
    if lineIsOpen { print() }
    lineIsOpen = false
  }

  private func report(_ record: StepRecord) {
    let now = ContinuousClock.now
    let first = first ?? (record.step, now)
    self.first = first
    // A log file gets a line every ten seconds.
    guard isTerminal || (now - lastLine).seconds >= 10 else { return }
    lastLine = now
    let inEpoch = record.step - (record.epoch - 1) * stepsPerEpoch
    let left = (now - first.time).seconds / Double(record.step - first.step) * Double(totalSteps - record.step)
    let text =
      "epoch \(record.epoch)/\(epochs)  step \(inEpoch)/\(stepsPerEpoch)  loss \(fixed(record.loss, 4))  "
      + "accuracy \(fixed(record.accuracy * 100, 1)) %  \(fixed(record.imagesPerSecond, 0)) images/s"
      + (record.step > first.step ? "  ETA \(clock(left))" : "")
    write(text, open: isTerminal)
  }

  private func report(_ record: EpochRecord) {
    write(
      "epoch \(record.epoch)/\(epochs)  loss \(fixed(record.loss, 4))  accuracy \(fixed(record.accuracy * 100, 2)) %  "
        + "validation loss \(fixed(record.validationLoss, 4))  "
        + "validation accuracy \(fixed(record.validationAccuracy * 100, 2)) %  "
        + "\(fixed(record.imagesPerSecond, 0)) images/s"
        + (record.waiting >= 0.1 ? "  \(fixed(record.waiting * 100, 0)) % of it waiting for images" : ""), open: false)
  }

  private func write(_ text: String, open: Bool) {
    // ESC [ K clears the rest of a longer line.
    print(lineIsOpen ? "\r\u{1B}[K\(text)" : text, terminator: open ? "" : "\n")
    fflush(nil)
    lineIsOpen = open
  }
}
