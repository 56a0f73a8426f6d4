import Support

/// State of the work that takes time now. Times are in seconds on a clock that never goes back.
package struct WorkProgress: Sendable {
  /// Kind of work, as the line calls it.
  package enum Phase: String, CaseIterable, Sendable {
    case reading = "reading images"
    case preparing
    case compiling = "compiling kernels"
    case tuning = "tuning convolutions"
    case training
    case validating
    case searching = "searching a learning rate"
    case evaluating
    case classifying
    case comparing
    case mapping = "mapping the loss"
    case checking = "checking operations"
    case measuring
    case converting = "converting weights"
  }

  package private(set) var phase = Phase.preparing
  /// Number of items done and to do; nil if it is not known.
  private var done, total: Int?
  /// Text about the present item.
  private var detail = ""
  private var began = 0.0
  private var pace = Pace()
  private var run: RunProgress?

  package init() {}

  /// Begins a kind of work.
  package mutating func begin(_ phase: Phase, of total: Int? = nil, at now: Double) {
    if phase == .validating { run?.validationBegan = now }
    (self.phase, done, self.total, detail, began, pace) = (phase, total == nil ? nil : 0, total, "", now, Pace())
  }

  /// Reports that items are done.
  package mutating func advance(to done: Int, _ detail: String? = nil, at now: Double) {
    self.done = done
    if let detail { self.detail = detail }
    pace.add(done, at: now)
  }

  /// Reports that one more item is done.
  package mutating func advance(_ detail: String? = nil, at now: Double) { advance(to: (done ?? 0) + 1, detail, at: now) }

  /// Begins a training run.
  package mutating func begin(_ run: RunProgress, at now: Double) {
    begin(.training, at: now)
    self.run = run
  }

  /// Reports a step that is done.
  package mutating func advance(to step: RunProgress.Step, at now: Double) {
    if phase == .validating { run?.validationEnded = now }
    if phase != .training { begin(.training, at: now) }
    run?.add(step, at: now)
  }

  /// Fields of the line on a terminal, the most important first.
  package func fields(_ style: LineStyle, at now: Double) -> [String] {
    if phase == .training, let run { return run.fields(style, elapsed: now - began, at: now) }
    let left = total.flatMap { pace.secondsLeft(until: $0, at: now) }
    var fields = [title]
    if phase == .validating, let run { fields.insert(run.title, at: 0) }
    fields.append(left.map { "ETA \(clock($0))" } ?? clock(now - began))
    if let rate { fields.append(rate) }
    if !detail.isEmpty { fields.append(detail) }
    return fields
  }

  /// Part of the work that is done, 0 to 1; nil if it is not known.
  package var fraction: Double? {
    if phase == .training, let run { return run.fraction }
    guard let done, let total, total > 0 else { return nil }
    return Double(done) / Double(total)
  }

  /// Line for a log; nil if it is too early for one.
  package func logLine(at now: Double) -> String? {
    if phase == .training, let run { return run.logLine(at: now) }
    return done == nil ? nil : ([title] + [rate].compactMap { $0 }).joined(separator: "  ")
  }

  /// Phase with its count, for example `compiling kernels 34/81` or `validating 40 %`.
  private var title: String {
    guard let done else { return phase.rawValue }
    guard let total, total > 0 else { return "\(phase.rawValue) \(grouped(done))" }
    if phase == .validating { return "\(phase.rawValue) \(percentText(Double(done) / Double(total), 0))" }
    return "\(phase.rawValue) \(grouped(done))/\(grouped(total))"
  }

  /// Images in a second; nil for other work, and before it is known.
  private var rate: String? {
    let phases: Set<Phase> = [.validating, .evaluating, .classifying, .comparing]
    guard phases.contains(phase), let seconds = pace.secondsPerItem, seconds > 0 else { return nil }
    return "\(rateText(1 / seconds)) images/s"
  }
}

/// State of a training run.
package struct RunProgress: Sendable {
  /// Step that is done.
  package struct Step: Sendable {
    /// Epoch from 1, step of the epoch from 1, and step of the run from 1.
    let epoch, stepOfEpoch, step: Int
    /// Number of images of the step, and their mean loss and accuracy.
    let images: Int
    let loss, accuracy: Double

    package init(epoch: Int, stepOfEpoch: Int, step: Int, images: Int, loss: Double, accuracy: Double) {
      (self.epoch, self.stepOfEpoch, self.step) = (epoch, stepOfEpoch, step)
      (self.images, self.loss, self.accuracy) = (images, loss, accuracy)
    }
  }

  /// Number of epochs of the run.
  let epochs: Int
  private let stepsPerEpoch, totalSteps: Int
  private var epoch, stepOfEpoch, step: Int
  private var images = 0
  private var loss = Trend()
  private var accuracy = Trend()
  private var latest: (loss: Double, accuracy: Double)?
  private var pace = Pace()
  /// Seconds of the last validation.
  private var validation = 0.0
  fileprivate var validationBegan: Double?
  fileprivate var validationEnded: Double?

  /// - Parameters:
  ///   - step: number of steps that are done already.
  package init(stepsPerEpoch: Int, totalSteps: Int, step: Int = 0) {
    let perEpoch = max(1, stepsPerEpoch)
    (epochs, self.stepsPerEpoch, self.totalSteps) = ((totalSteps + perEpoch - 1) / perEpoch, perEpoch, totalSteps)
    (epoch, stepOfEpoch, self.step) = (step / perEpoch + 1, step % perEpoch, step)
  }

  fileprivate mutating func add(_ step: Step, at now: Double) {
    if let began = validationBegan, let ended = validationEnded {
      validation = ended - began
      (validationBegan, validationEnded) = (nil, nil)
      pace.resume(step.step, at: now)
    } else {
      pace.add(step.step, at: now)
    }
    (epoch, stepOfEpoch, self.step, images) = (step.epoch, step.stepOfEpoch, step.step, max(images, step.images))
    loss.add(step.loss)
    accuracy.add(step.accuracy)
    latest = (step.loss, step.accuracy)
  }

  /// Text such as `epoch 3/10`.
  fileprivate var title: String { "epoch \(grouped(epoch))/\(grouped(epochs))" }

  fileprivate var fraction: Double { min(1, Double(stepOfEpoch) / Double(stepsPerEpoch)) }

  /// Seconds until the run ends, with the validations that are still to come.
  private func secondsLeft(at now: Double) -> Double? {
    pace.secondsLeft(until: totalSteps, at: now).map { $0 + validation * Double(max(0, epochs - epoch + 1)) }
  }

  private var rate: String? {
    pace.secondsPerItem.flatMap { $0 > 0 ? "\(rateText(Double(images) / $0)) images/s" : nil }
  }

  fileprivate func fields(_ style: LineStyle, elapsed: Double, at now: Double) -> [String] {
    func sign(_ trend: Trend) -> String {
      switch trend.direction {
      case nil: ""
      case .falling: " \(style.falling)"
      case .rising: " \(style.rising)"
      case .level: " \(style.level)"
      }
    }
    var fields = [title, "\(grouped(stepOfEpoch))/\(grouped(stepsPerEpoch))"]
    if let value = loss.value { fields.append("loss \(lossText(value))\(sign(loss))") }
    fields.append(secondsLeft(at: now).map { "ETA \(clock($0))" } ?? clock(elapsed))
    if let value = accuracy.value { fields.append("accuracy \(percentText(value))\(sign(accuracy))") }
    if let rate { fields.append(rate) }
    return fields
  }

  fileprivate func logLine(at now: Double) -> String? {
    guard let latest else { return nil }
    var fields = [
      title, "step \(grouped(stepOfEpoch))/\(grouped(stepsPerEpoch))", "loss \(lossText(loss.value ?? latest.loss))",
      "accuracy \(percentText(accuracy.value ?? latest.accuracy))",
    ]
    if let rate { fields.append(rate) }
    if let left = secondsLeft(at: now) { fields.append("ETA \(clock(left))") }
    return fields.joined(separator: "  ")
  }
}
