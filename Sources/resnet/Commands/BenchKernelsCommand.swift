import ArgumentParser
import Compute
import Formats
import Models
import OpenCLBackend
import ResNetKit
import Support

struct BenchKernelsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kernels", abstract: "Measure every operation of a model against the peak of the device.",
    usage: "resnet bench kernels [options] [<model>]",
    discussion: """
      Measures every distinct operation of a training step and of inference, each on its own, and shows the kernels that ran. \
      The share is that of the roofline: the time that the operation needs at the measured peak of multiply-adds, or of copying \
      its operands once, whichever is longer, over the time that it took. Winograd convolutions need fewer multiply-adds than \
      the direct sum that is counted, so their share may exceed 100 %, as may that of operations whose data fits into a cache. \
      Moved: the bytes that the kernels read and write, including workspaces, over the least possible number.
      """
        + "\n\n"
        + examples(
          "resnet bench kernels",
          "resnet bench kernels resnet50 --batch-size 16 --json",
          "resnet bench kernels resnet50 --filter convolution --compare earlier.json"))

  @Argument(help: "Model, for example resnet20 or resnet50.", completion: .models)
  var model = TrainingSetup.defaultModel

  @OptionGroup(title: HelpGroup.data) var input: InputOptions
  @OptionGroup(title: HelpGroup.model) var modelOptions: ModelOptions
  @OptionGroup(title: HelpGroup.device) var device: DeviceOption
  @OptionGroup(title: HelpGroup.device) var precision: PrecisionOption
  @OptionGroup(title: HelpGroup.output) var verbosity: VerbosityOptions

  @Option(help: ArgumentHelp("Measure only operations whose name contains this text.", valueName: "text"))
  var filter: String?

  @Option(help: "Number of timed runs, whose median counts. One untimed run comes first.")
  var repeats = 5

  @Option(
    help: ArgumentHelp("Compare with this file, the --json output of an earlier run.", valueName: "file"),
    completion: .file(extensions: ["json"]))
  var compare: String?

  @Flag(help: "Print JSON.")
  var json = false

  func validate() throws {
    try modelOptions.validate(model)
    try precision.validate(device)
    try requireSizes(["--repeats": repeats], in: 1...1 << 12)
    try requirePaths(["--compare": compare])
    try device.requireOne("`resnet bench kernels` measures one device")
  }

  func run() throws {
    verbosity.begin()
    // The earlier report is read before anything is measured.
    let old = try compare.map(BenchReport.init(contentsOf:))
    let images = try input.images(for: model, defaultBatch: 128)
    let configuration = modelOptions.configuration(
      model, classes: try ModelConfiguration.usualInput(of: model).classes, channels: images[3])
    var place = try device.place()
    place.checksConvolutions = false
    let backend = try place.open(for: nil, profiling: !device.isReference)
    let summary = try Summary(
      configuration, images: images, TrainingOptions(precision: precision.precision ?? .fp32), on: backend)
    let operations = distinctOperations(summary).filter { operation in filter.map(operation.record.name.contains) ?? true }
    if operations.isEmpty { throw usageError("no operation's name contains '\(filter ?? "")'") }
    try summary.requireMemoryForTraining(on: backend)

    let peaks = try (backend as? OpenCLBackend)?.measurePeaks()
    Display.shared.begin(.measuring, of: operations.count)
    let figures = try operations.map { operation in
      defer { Display.shared.advance(operation.record.name) }
      return try measure(operation, on: backend, repeats: repeats)
    }
    Display.shared.finish()
    let report = BenchReport(device: backend.name, model: model, images: images, peaks: peaks, figures)
    let comparison = old.map { Comparison(old: $0, new: report) }
    if json {
      printJSON(report.json(comparison))
      return
    }
    print("\(model), batch \(images[0]), \(images[1])×\(images[2])×\(images[3]), on \(backend.name)")
    if let peaks { print("measured peak: \(fixed(peaks.flops / 1e9, 0)) GFLOP/s, copies \(fixed(peaks.bytes / 1e9, 1)) GB/s") }
    print("\n" + table(figures, peaks) + "\n\n" + totals(figures))
    if peaks != nil { print(Self.legend) }
    if let comparison, let compare { print("\n" + comparison.text(oldName: compare)) }
  }

  private static let legend = """
    share: of the roofline, which counts a convolution's multiply-adds as the direct sum has them: Winograd's may pass 100 %
    moved: bytes that the kernels read and write, over those of the operands once
    """

  private func table(_ figures: [OperationFigures], _ peaks: (flops: Double, bytes: Double)?) -> String {
    var table = Table(
      ["operation", "a step", "inference", "ms", "±", "GFLOP/s", "GB/s", "moved", "share", "kernels"], lastIsText: true)
    for figure in figures {
      let (record, seconds) = (figure.record, figure.seconds)
      let spread = ((figure.times.max() ?? 0) - (figure.times.min() ?? 0)) / 2 / seconds
      table.add([
        record.name, figure.training == 0 ? "" : String(figure.training), figure.inference == 0 ? "" : String(figure.inference),
        fixed(seconds * 1e3, 4), fixed(spread * 100, 0) + " %", record.macs == 0 ? "" : fixed(figure.flops / seconds / 1e9, 1),
        fixed(Double(record.bytes) / seconds / 1e9, 1),
        figure.moved.map { fixed(Double($0) / Double(record.bytes), 2) + "×" } ?? "",
        peaks.map { fixed(figure.share($0) * 100, 0) + " %" } ?? "", figure.kernels.joined(separator: ", "),
      ])
    }
    return table.text
  }

  private func totals(_ figures: [OperationFigures]) -> String {
    let sum = { (count: (OperationFigures) -> Int) in figures.reduce(0) { $0 + Double(count($1)) * $1.seconds } }
    return (filter == nil ? "" : "of these operations: ") + "a training step \(fixed(sum(\.training) * 1e3, 1)) ms, "
      + "inference of a batch \(fixed(sum(\.inference) * 1e3, 1)) ms"
  }
}
