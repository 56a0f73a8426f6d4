import ArgumentParser
import Support
import Training

extension RunConfiguration.WatchedFigure: ExpressibleByArgument {}

/// Options about the best epoch, and about an end of the run after it.
struct StoppingOptions: ParsableArguments {
  @Option(
    help: "Figure of the validation by which the best epoch, of best.safetensors, is found: loss or accuracy. Default: accuracy.")
  var watch: RunConfiguration.WatchedFigure?
  @Option(
    help: ArgumentHelp("End the run after this many epochs in which the watched figure did not improve.", valueName: "epochs"))
  var patience: Int?
  @Option(
    help: """
      After a step in which a number is not finite: stop and keep the step in a file for `resnet replay`, or skip the step, until \
      \(FaultPolicy.mostSkipped) in a row end the run. Default: stop.
      """)
  var onFault: FaultPolicy?

  /// Sets what the options say of a run that goes on.
  func applyToResumed(_ run: inout RunConfiguration) { run.onFault = onFault ?? run.onFault }
}

extension FaultPolicy: ExpressibleByArgument {}

extension Trainer {
  /// The reason why the run ended before its last epoch, for example `the validation loss did not improve for 3 epochs`; nil if
  /// it did not.
  var earlyEnd: String? {
    guard endedEarly, let patience = configuration.patience else { return nil }
    let figure = configuration.watch ?? .accuracy
    return "the validation \(figure.rawValue) did not improve for \(grouped(patience)) epoch\(patience == 1 ? "" : "s")"
  }
}
