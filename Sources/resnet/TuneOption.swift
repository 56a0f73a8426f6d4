import ArgumentParser
import CPUBackend
import Compute
import Foundation
import Glibc
import Models
import OpenCL
import OpenCLBackend
import Support
import Synchronization
import Tuning

/// Option `--tune`.
struct TuneOption: ParsableArguments {
  enum Mode: String, ExpressibleByArgument, CaseIterable { case off, fast, full }

  @Option(
    help: """
      off ignores the results of `resnet tune`; fast first tunes what is missing, for about 30 s; full does so without a limit. \
      Default: use existing results, and the built-in choices for the rest.
      """)
  var tune: Mode?

  /// Whether work uses the results of the tuner.
  var isTuned: Bool { tune != .off }

  func validate(_ device: DeviceOption) throws {
    if let tune, tune != .off, device.isReference {
      throw ValidationError("--tune \(tune.rawValue) needs an OpenCL device, not --device cpu")
    }
    if let tune, tune != .off {
      try device.requireOne("--tune \(tune.rawValue) tunes one device, for its share of a batch")
    }
  }

  /// Opens the device, or several devices.
  /// - Parameters:
  ///   - sharing: way in which several devices share a batch.
  ///   - buildsSample: false if the work's kernels are built ahead; see ``DeviceOption``.
  ///   - weights: returns the convolutions of the work, with the multiply-accumulates of each.
  func backend(
    _ device: DeviceOption, profiling: Bool = false, sharing: Sharing?, buildsSample: Bool = true,
    for weights: () throws -> [ConvolutionWork: Double]
  ) throws -> any Backend {
    var table: TuningTable?
    if let tune, !device.isReference {
      table = TuningTable()
      if tune != .off {
        let devices = try device.openCLDevices()
        try device.buildSample(on: devices)
        let entry = devices[0]
        table = try fillTable(
          try weights(), on: entry, math: device.math ?? .exact, try userCache(of: entry), budget: tune == .fast ? 30 : nil)
      }
    }
    return try device.backend(profiling: profiling, table: table, sharing: sharing, buildsSample: buildsSample)
  }
}

/// Opens the cache of the current user; nil if neither $XDG_CACHE_HOME nor $HOME is an absolute path.
func userCache(of device: Device) throws -> DeviceCache? {
  try DeviceCache.userFolder(ProcessInfo.processInfo.environment).map {
    try DeviceCache($0, device: device) { problem in
      if cacheProblems.withLock({ $0.insert(problem).inserted }) { printError("warning: \(problem)") }
    }
  }
}

/// Cache problems that were reported already, as a command opens its cache several times.
private let cacheProblems = Mutex<Set<String>>([])

/// Returns the convolutions of a training step and of inference, or of inference alone, with the multiply-accumulates of each.
func convolutions(
  of configuration: ModelConfiguration, images: Shape, precision: Precision = .fp32, training: Bool = true
) throws -> [ConvolutionWork: Double] {
  let summary = try Summary(configuration, images: images, TrainingOptions(precision: precision))
  var weights: [ConvolutionWork: Double] = [:]
  for record in (training ? summary.step : []) + summary.inferenceOperations {
    if let work = record.convolution?.withoutStatistics { weights[work, default: 0] += Double(record.macs) }
  }
  return weights
}

/// Tunes the convolutions that the cache does not hold yet, until the budget in seconds is spent or a signal comes. Saves each
/// result when it is found.
/// - Returns: all results that are known then.
func fillTable(
  _ weights: [ConvolutionWork: Double], on device: Device, math: MathMode, _ cache: DeviceCache?, budget: Double?
) throws -> TuningTable {
  var table = cache?.loadTable() ?? TuningTable()
  // With a budget, the result of an earlier tuning that was cut short counts as done.
  let missing = weights.filter { work, _ in table[work, math].map { !$0.isComplete && budget == nil } ?? true }
  if missing.isEmpty { return table }
  let tuner = Tuner(try OpenCLBackend(device: device, math: math, programs: cache), reference: CPUBackend())
  let progress = TuningProgress(total: missing.count)
  defer { progress.finish() }
  func keep(_ work: ConvolutionWork, _ entry: TuningTable.Entry, left: Int) {
    table[work, math] = entry
    var found = TuningTable()
    found[work, math] = entry
    cache?.save(found)
    progress.report(work, entry, left: left)
  }
  try tuner.tune(missing, budget: budget, shouldStop: { Signals.pending != nil }, report: keep)
  return table
}

/// Progress bar on standard error: one line that is overwritten on a terminal, otherwise a line now and then.
private final class TuningProgress {
  private let total: Int
  private let isTerminal = isatty(STDERR_FILENO) == 1
  private var lastLine = ContinuousClock.now
  private var lineIsOpen = false

  init(total: Int) {
    self.total = total
    if isTerminal { write("tuning \(bar(0)) 0/\(total)") }
  }

  func report(_ work: ConvolutionWork, _ entry: TuningTable.Entry, left: Int) {
    let now = ContinuousClock.now
    guard isTerminal || (now - lastLine).seconds >= 10 || left == 0 else { return }
    lastLine = now
    write("tuning \(bar(total - left)) \(total - left)/\(total)  \(work): \(gain(of: entry))")
  }

  func finish() {
    if lineIsOpen { printError("") }
    lineIsOpen = false
  }

  private func bar(_ done: Int) -> String {
    let full = 20 * done / max(1, total)
    return "[" + String(repeating: "#", count: full) + String(repeating: ".", count: 20 - full) + "]"
  }

  private func write(_ text: String) {
    // ESC [ K clears the rest of a longer line.
    writeToStandardError(isTerminal ? "\r\u{1B}[K\(text)" : "\(text)\n")
    lineIsOpen = isTerminal
  }
}

/// Returns the speed-up as text, for example `1.31×`, or `built-in` if the built-in choice stays.
func gain(of entry: TuningTable.Entry) -> String {
  entry.choice == nil ? "built-in" : fixed(entry.builtInSeconds / entry.seconds, 2) + "×"
}
