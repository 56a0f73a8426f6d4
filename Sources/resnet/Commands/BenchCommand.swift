import ArgumentParser

struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Measure the speed of single operations, of whole models, or of loading images.",
    subcommands: [BenchKernelsCommand.self, BenchLoaderCommand.self, BenchModelCommand.self])
}
