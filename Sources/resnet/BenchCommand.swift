import ArgumentParser

struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Measure speed: of single operations, or of whole models.",
    subcommands: [BenchKernelsCommand.self, BenchModelCommand.self])
}
