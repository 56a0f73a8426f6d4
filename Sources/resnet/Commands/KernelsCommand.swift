import ArgumentParser
import Compute
import Conformance
import Formats
import Models
import NN
import OpenCLBackend
import Support

extension DescribedGPU: ExpressibleByArgument {}

/// Lists the kernels that networks need on a GPU, which need not be present, for `Scripts/check-gpu-compilers`.
struct KernelsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kernels", abstract: "List the kernels that networks need on a GPU, for its compiler to try.",
    discussion: """
      Writes every kernel file, with its headers included, and list.txt to the folder. A line of the list is one way to compile \
      a file: its name, the kernels that are needed from it, separated by commas, and the options.
      """, shouldDisplay: false)

  @Argument(help: "GPU, by the name that its vendor's compiler uses.")
  var gpu: DescribedGPU

  @Option(help: ArgumentHelp("Folder to write to.", valueName: "folder"))
  var output: String

  func run() throws {
    var builds: [KernelBuild] = []
    for math in MathMode.allCases {
      var traits = gpu.traits
      traits.math = math
      builds += try OpenCLBackend.kernels(on: traits, of: networks)
    }
    // One build of each operation on odd shapes is enough: the sizes of work-groups do not change what a compiler makes of a
    // kernel.
    var known = Set(builds.map(Self.kind))
    builds += try OpenCLBackend.kernels(on: gpu.traits, of: otherOperations).filter { known.insert(Self.kind($0)).inserted }
    let lines = Dictionary(grouping: builds) { "\($0.file) \($0.options)" }.values.map { same in
      "\(same[0].file) \(Set(same.map(\.kernel)).sorted().joined(separator: ",")) -cl-std=CL1.2 \(same[0].options)"
    }.sorted()

    try Folder.make(output)
    let files = try OpenCLBackend.kernelFiles()
    for file in files { try AtomicFile.write(Array(file.text.utf8), to: "\(output)/\(file.name)") }
    try AtomicFile.write(Array((lines.joined(separator: "\n") + "\n").utf8), to: "\(output)/list.txt")
    print("\(lines.count) ways to compile \(files.count) files")
  }

  /// Returns a kernel and its options, without the size of its work-groups.
  private static func kind(_ build: KernelBuild) -> String {
    let options = build.options.split(separator: " ").filter { !$0.hasPrefix("-DLANES=") && !$0.hasPrefix("-DROWS=") }
    return "\(build.kernel) \(options.joined(separator: " "))"
  }

  /// Rehearses training and inference of a network of each family, with batches for a small and a large GPU.
  private func networks(on backend: OpenCLBackend) throws {
    let all: [(name: String, batch: Int)] = [
      ("resnet20", 128), ("preresnet20", 128), ("resnet18", 32), ("resnet50", 32), ("resnext50_32x4d", 32), ("resnet50", 256),
    ]
    for (name, batch) in all {
      let (side, classes) = try ModelConfiguration.usualInput(of: name)
      for precision in Precision.allCases {
        try Summary.rehearse(
          ModelConfiguration(name: name, classes: classes), images: [batch, side, side, 3],
          TrainingOptions(precision: precision, guardsSteps: true), on: backend)
      }
    }
  }

  /// Runs all operations except convolutions.
  private func otherOperations(on backend: OpenCLBackend) throws {
    for subject in Catalog.small + Catalog.half where subject.convolution == nil { try Conformance.run(subject, on: backend) }
  }
}
