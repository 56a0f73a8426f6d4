import ArgumentParser
import CPUBackend
import Compute
import Foundation
import Glibc
import Models
import OpenCL
import OpenCLBackend
import Synchronization
import Tuning

/// `--tune`.
struct TuneOption: ParsableArguments {
  enum Mode: String, ExpressibleByArgument, CaseIterable { case off, fast, full }

  @Option(
    help: """
      off ignores what `resnet tune` has found; fast first tunes what is missing, for about 30 s; full does so without a limit. \
      Default: use what was found, and the built-in choices for the rest.
      """)
  var tune: Mode?

  /// Whether work follows what the tuner has found.
  var isTuned: Bool { tune != .off }

  func validate(_ device: DeviceOption) throws {
    if let tune, tune != .off, device.isReference {
      throw ValidationError("--tune \(tune.rawValue) needs an OpenCL device, not --device cpu")
    }
    if let tune, tune != .off {
      try device.requireOne("--tune \(tune.rawValue) tunes one device, for its share of a batch")
    }
  }

  /// Opens the device, or several.
  /// - Parameters:
  ///   - sharing: how several share a batch.
  ///   - buildsSample: false where the work's kernels are built ahead; see ``DeviceOption``.
  ///   - weights: what is going to be computed, and its multiply-accumulates.
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

/// The cache of the user who runs this; nil where he has no home.
func userCache(of device: Device) throws -> DeviceCache? {
  try DeviceCache.userFolder(ProcessInfo.processInfo.environment).map {
    try DeviceCache($0, device: device) { problem in
      if cacheProblems.withLock({ $0.insert(problem).inserted }) { printError("warning: \(problem)") }
    }
  }
}

/// Problems of caches that were told already: a command opens its cache several times.
private let cacheProblems = Mutex<Set<String>>([])

/// The convolutions of a training step and of inference, or of inference alone, and the multiply-accumulates spent on each.
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

/// Tunes what the cache does not hold yet, until the budget in seconds is spent or a signal comes, and keeps each result as it is
/// found.
/// - Returns: all that is known then.
func fillTable(
  _ weights: [ConvolutionWork: Double], on device: Device, math: MathMode, _ cache: DeviceCache?, budget: Double?
) throws -> TuningTable {
  var table = cache?.loadTable() ?? TuningTable()
  // What was cut short counts as done where time is short again.
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

/// A bar on standard error that is written over on a terminal, a line now and then elsewhere.
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
    // ESC [ K clears what a longer line has left.
    writeToStandardError(isTerminal ? "\r\u{1B}[K\(text)" : "\(text)\n")
    lineIsOpen = isTerminal
  }
}

/// For example `1.31×` as fast, or that the built-in choice stays.
func gain(of entry: TuningTable.Entry) -> String {
  entry.choice == nil ? "built-in" : fixed(entry.builtInSeconds / entry.seconds, 2) + "×"
}
