import ArgumentParser

@main
struct ResNetCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resnet",
    abstract: "Train and run residual networks on any OpenCL device.",
    subcommands: [
      DevicesCommand.self, TrainCommand.self, EvaluateCommand.self, SummaryCommand.self, VerifyCommand.self, BenchCommand.self,
    ])
}
