import ArgumentParser
import Compute
import Conformance
import Formats
import OpenCLBackend

struct BenchKernelsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kernels", abstract: "Measure every operation on the shapes of the published networks.",
    discussion: """
      The share is that of the roofline: the time that the operation needs at the peak of multiply-adds and of copying, both \
      measured in the same run, over the time that it took. Data in a cache can pass the peak of copying.
      """)

  @OptionGroup var device: DeviceOption

  @Option(help: "Images a batch for networks of 32² images; those of 224² get an eighth.")
  var batchSize = 128

  @Option(help: ArgumentHelp("Only cases whose name contains this text.", valueName: "text"))
  var filter: String?

  @Option(help: "Runs that are timed; their median counts. One more comes first.")
  var repeats = 5

  @Flag(help: "Print JSON.")
  var json = false

  func validate() throws {
    try requireSizes(["--batch-size": batchSize, "--repeats": repeats], in: 1...1 << 12)
    if cases.isEmpty { throw ValidationError("no case's name contains '\(filter ?? "")'") }
  }

  private var cases: [Case] { Catalogue.real(batch: batchSize).filter { filter.map($0.name.contains) ?? true } }

  func run() throws {
    let backend = try device.backend()
    let peaks = try (backend as? OpenCLBackend)?.measurePeaks()
    var table = Table(["operation", "ms", "GFLOP/s", "GB/s", "share"])
    var entries: [JSON] = []
    for subject in cases {
      let seconds = try time(subject, on: backend)
      let share = peaks.map { max(Double(subject.flops) / $0.flops, Double(subject.bytes) / $0.bytes) / seconds }
      let (gigaflops, gigabytes) = (Double(subject.flops) / seconds / 1e9, Double(subject.bytes) / seconds / 1e9)
      table.add([
        subject.name, fixed(seconds * 1e3, 3), fixed(gigaflops, 1), fixed(gigabytes, 1),
        share.map { fixed($0 * 100, 0) + " %" } ?? "",
      ])
      entries.append(
        .members([
          "name": .string(subject.name), "seconds": .number(seconds), "gflops": .number(gigaflops), "gbps": .number(gigabytes),
          "share": share.map(JSON.number) ?? .null,
        ]))
    }
    if json {
      printJSON(
        .members([
          "device": .string(backend.name), "batch_size": .integer(batchSize),
          "peak_gflops": peaks.map { .number($0.flops / 1e9) } ?? .null,
          "peak_gbps": peaks.map { .number($0.bytes / 1e9) } ?? .null, "kernels": .array(entries),
        ]))
      return
    }
    print(backend.name)
    if let peaks { print("measured peak: \(fixed(peaks.flops / 1e9, 0)) GFLOP/s, copies \(fixed(peaks.bytes / 1e9, 1)) GB/s") }
    print(table.text)
  }

  private func time(_ subject: Case, on backend: any Backend) throws -> Double {
    let prepared = try subject.prepare(on: backend)
    try prepared.run()
    try backend.finish()
    return try (0..<repeats).map { _ in
      let start = ContinuousClock.now
      try prepared.run()
      try backend.finish()
      return (ContinuousClock.now - start).seconds
    }.median
  }
}
