import ArgumentParser
import Compute
import Formats
import Images
import Support

struct BenchLoaderCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "loader", abstract: "Measure how fast a folder of images is read, decoded, cropped at random and resized.",
    usage: "resnet bench loader --data <path> [options]",
    discussion: examples(
      "resnet bench loader --data flowers", "resnet bench loader --data flowers --threads 4 --image-size 128",
      "resnet bench loader --data flowers --evaluation --json"))

  @Option(
    help: ArgumentHelp("Folder with a folder of images for each class, or train/ and val/ with such folders.", valueName: "path"),
    completion: .directory)
  var data: String

  @Option(help: "Height and width of the network's input.")
  var imageSize = 224

  @Option(help: "Batch size.")
  var batchSize = 128

  @Option(help: "Number of decoding threads. Default: one for every processor.")
  var threads: Int?

  @Option(help: "Number of timed passes over the images, whose median counts. One untimed pass comes first.")
  var passes = 3

  @Option(help: "Images that cannot be decoded: fail (end with an error) or skip (leave them out).")
  var damaged = DamagedImages.fail

  @Flag(help: "Prepare images as in evaluation: resize the shorter side and cut out the center.")
  var evaluation = false

  @OptionGroup var verbosity: VerbosityOptions

  @Flag(help: "Print JSON.")
  var json = false

  func validate() throws {
    try requirePaths(["--data": data])
    try requireSizes(["--image-size": imageSize, "--batch-size": batchSize, "--passes": passes], in: 1...1 << 14)
    try requireSizes(["--threads": threads], in: 1...1 << 10)
  }

  func run() throws {
    verbosity.begin()
    Display.shared.begin(.reading)
    let folder = try ImageFolderSplits(data, progress: Display.reading).train
    reportIgnored(folder.ignored)
    let samples = folder.samples
    let items = samples.enumerated().map { ImageItem($1.place, label: $1.label, sample: $0) }
    let batches = stride(from: 0, to: items.count, by: batchSize).map { Array(items[$0..<min(items.count, $0 + batchSize)]) }
    var (speeds, loading, failures) = ([Double](), [Double](), [Failure]())
    Display.shared.begin(.measuring, of: (passes + 1) * batches.count)
    for pass in 0...passes {
      let transform: any ImageTransform =
        evaluation
        ? EvaluationTransform.usual(crop: imageSize)
        : TrainingTransform(RandomResizedCrop(size: imageSize), seed: 0, epoch: pass)
      let start = ContinuousClock.now
      let pipeline = try ImagePipeline(batches: batches, transform: transform, damaged: damaged, threads: threads)
      failures = []
      while let found = try pipeline.next({ $0.failures }) {
        failures += found
        Display.shared.advance()
      }
      let seconds = (ContinuousClock.now - start).seconds
      guard failures.count < items.count else { throw failures[0] }
      if pass > 0 {
        speeds.append(Double(items.count - failures.count) / seconds)
        loading.append(pipeline.counters.loading / Double(items.count))
      }
    }
    Display.shared.finish()
    failures.forEach(LeftOutImages().add)
    if json {
      return printJSON(
        .members([
          "images": .integer(items.count), "damaged": .integer(failures.count), "image_size": .integer(imageSize),
          "images_per_second": .number(speeds.median), "seconds_per_image": .number(loading.median),
        ]))
    }
    print(
      "\(grouped(items.count - failures.count)) images to \(imageSize)×\(imageSize): \(fixed(speeds.median, 1)) images/s, "
        + "\(fixed(loading.median * 1000, 2)) ms of a thread for each, \(failures.count) damaged")
  }
}
