import ArgumentParser

struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Measure the speed of single operations, of whole models, or of loading images.",
    usage: "resnet bench <subcommand>",
    discussion: examples(
      "resnet bench model resnet50 --batch-size 16", "resnet bench kernels resnet20", "resnet bench loader --data flowers"
    ),
    subcommands: [BenchKernelsCommand.self, BenchLoaderCommand.self, BenchModelCommand.self])
}
