import ArgumentParser
import Compute
import Glibc
import OpenCLBackend
import ResNetKit
import Support

/// Option `--tune`.
struct TuneOption: ParsableArguments {
  enum Mode: String, ExpressibleByArgument, CaseIterable { case off, fast, full }

  @Option(
    help: """
      off ignores the results of `resnet tune`; fast first tunes what is missing, for about 30 s; full does so without a limit. \
      Default: use existing results, and the built-in choices for the rest.
      """)
  var tune: Mode?

  func validate(_ device: DeviceOption) throws {
    if let tune, tune != .off, device.isReference {
      throw ValidationError("--tune \(tune.rawValue) needs an OpenCL device, not --device cpu")
    }
    if let tune, tune != .off {
      try device.requireOne("--tune \(tune.rawValue) tunes one device, for its share of a batch")
    }
  }

  /// Choice of convolution kernels.
  var mode: TuningMode { tune.flatMap { TuningMode(rawValue: $0.rawValue) } ?? .known }
}

/// Progress bar on standard error: one line that is overwritten on a terminal, otherwise a line now and then.
final class TuningBar: TuningProgress {
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
