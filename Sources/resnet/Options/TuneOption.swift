import ArgumentParser
import Compute
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

  /// Note about a run that goes on with other kernels than before; nil without the option.
  var noteOnResumedRun: String? {
    tune.map {
      "--tune \($0.rawValue): convolutions may have other kernels than before, so the run may not end in the same bits as one that "
        + "was never interrupted"
    }
  }

  /// Choice of convolution kernels.
  var mode: TuningMode { tune.flatMap { TuningMode(rawValue: $0.rawValue) } ?? .known }
}

/// Report of how far tuning is.
final class TuningReport: TuningProgress {
  private let total: Int

  init(total: Int) {
    self.total = total
    Display.shared.begin(.tuning, of: total)
  }

  func report(_ work: ConvolutionWork, _ entry: TuningTable.Entry, left: Int) {
    Display.shared.advance(to: total - left, "\(work): \(gain(of: entry))")
  }

  func finish() { Display.shared.begin(.preparing) }
}

/// Returns the speed-up as text, for example `1.31×`, or `built-in` if the built-in choice stays.
func gain(of entry: TuningTable.Entry) -> String {
  entry.choice == nil ? "built-in" : fixed(entry.builtInSeconds / entry.seconds, 2) + "×"
}
