import ArgumentParser
import Compute
import Formats
import Foundation
import Images
import Models
import ResNetKit
import Support
import Training

struct SimilarCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "similar", abstract: "Find the images that are most similar to one image.",
    usage: "resnet similar [options] <image> <place>",
    discussion: """
      Compares features, what stands before the last layer of the network, by their cosine similarity. Features of many images \
      can be kept in a file, by `resnet predict --features`, which must come from the same network and options. The image \
      itself is not listed. \(hiddenOptions)
      """
        + "\n\n"
        + examples(
          "resnet similar rose.jpg holiday", "resnet similar rose.jpg holiday --checkpoint resnet50.pth --top-k 3",
          "resnet similar rose.jpg features.safetensors --json"))

  @Argument(
    help: ArgumentHelp("Image to compare with, or - for one on standard input.", valueName: "image"), completion: .file())
  var image: String

  @Argument(
    help: ArgumentHelp("Folder or archive of the images to search, or file of their features.", valueName: "place"),
    completion: .file())
  var place: String

  @OptionGroup(title: HelpGroup.data) var input: ComparedImageOptions
  @OptionGroup(title: HelpGroup.model) var checkpoint: CheckpointOptions
  @OptionGroup(title: HelpGroup.device) var device: DeviceOption
  @OptionGroup(title: HelpGroup.device) var precision: PrecisionOption
  @OptionGroup(title: HelpGroup.output) var output: SimilarOutputOptions
  @OptionGroup(title: HelpGroup.output) var verbosity: VerbosityOptions

  /// Options of how the images become the network's input.
  struct ComparedImageOptions: ParsableArguments {
    @Option(help: "Height and width of the network's input. Default: those of training, otherwise the usual size of the network.")
    var imageSize: Int?

    @OptionGroup var resizing: ResizeOptions

    @OptionGroup var normalization: NormalizationOptions

    @Option(help: "Batch size.")
    var batchSize = 128

    func validate() throws {
      if batchSize < 1 { throw ValidationError("--batch-size \(batchSize): at least one image is needed") }
      try requireSizes(["--image-size": imageSize], in: ModelConfiguration.imageSides)
    }
  }

  /// Options of what `similar` prints.
  struct SimilarOutputOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Number of images to show.", valueName: "count"))
    var topK = 10

    @Flag(help: "Print a JSON array with an object for each image.")
    var json = false

    func validate() throws { try requireSizes(["--top-k": topK], in: 1...1 << 20) }
  }

  func validate() throws {
    try precision.validate(device)
    try requirePaths(["<image>": image, "<place>": place])
    if place == "-" { throw ValidationError("<place> -: a folder or a file of features is needed") }
  }

  func run() throws {
    Signals.catchAll()
    verbosity.begin()
    let checkpoint = try checkpoint.read(checkpoint.path())
    let normalization = try input.normalization.normalization(ofFilesFor: checkpoint)
    let images = try findImages([image])
    guard images.count == 1 else { throw usageError("<image> \(image): it holds \(grouped(images.count)) images, name one") }
    let file = isFeatureFile ? try FeatureFile(place) : nil
    Display.shared.begin(.reading)
    let places = try file == nil ? findImages([place]) : []
    Display.shared.begin(.preparing)
    let extractor = try FeatureExtractor(
      checkpoint, on: device.place(), batchSize: max(1, min(input.batchSize, places.count)),
      precision: precision.precision ?? .fp32,
      normalization: normalization, preparation: try checkpoint.preparation(size: input.imageSize, input.resizing.recipe))
    var similar = SimilarImages(to: try features(of: images[0], extractor), count: output.topK)
    let damaged = FailureReport()
    if let file {
      guard file.count == extractor.count else {
        throw Failure(
          .mismatch, about: place, "\(file.count) features of an image, and \(checkpoint.name) has \(extractor.count)",
          remedy: "write them again with this checkpoint")
      }
      try check(file, extractor)
      for (index, path) in file.paths.enumerated() where !isSame(path, images[0].path) { similar.add(path, file[index]) }
    } else {
      func compare(_ image: ImagePlace, _ result: Result<ArraySlice<Float>, Failure>) {
        switch result {
        case .success(let features): if !isSame(image.path, images[0].path) { similar.add(image.path, features) }
        case .failure(let failure): damaged.add(failure)
        }
      }
      Display.shared.begin(.comparing, of: places.count)
      let isDone = try extractor.forEach(
        of: places,
        progress: { done in
          Display.shared.advance(to: done)
          return Signals.pending == nil
        }, compare)
      guard isDone else { throw Signals.exitCode }
    }
    Display.shared.finish()
    report(similar.nearest)
    try damaged.finish()
  }

  private var isFeatureFile: Bool {
    // A path that cannot be read as a file may be that of a folder in an archive.
    (try? FileKind(of: InputFile(place))) == .safetensors
  }

  /// Whether two paths lead to the same image, on the disk or in an archive.
  private func isSame(_ a: String, _ b: String) -> Bool {
    func standard(_ path: String) -> String { URL(fileURLWithPath: path).standardized.path }
    return standard(a) == standard(b) || InputFile.areSame(a, b)
  }

  /// Similarity of two computations of the same features below which they are of other networks or images. Activations of 16 bits
  /// change them by far less.
  private static let leastSimilarity = 0.99

  /// Checks the features of the first image that is still there.
  /// - Throws: ``Failure`` if the network gives others.
  private func check(_ file: FeatureFile, _ extractor: FeatureExtractor) throws {
    guard let index = file.paths.firstIndex(where: { InputFile.exists($0) && !InputFile.isFolder($0) }) else { return }
    let path = file.paths[index]
    let found = try features(of: ImagePlace(file: path), extractor)
    var same = SimilarImages(to: found, count: 1)
    same.add(path, file[index])
    // Features that are all zero have no direction.
    guard found != Array(file[index]), let match = same.nearest.first, match.similarity < Self.leastSimilarity else { return }
    throw Failure(
      .mismatch, about: place,
      "\(extractor.checkpoint.name) has other features for \(path): the file is of another network or other options, or the "
        + "image has changed", remedy: "write it again with this checkpoint")
  }

  private func features(of image: ImagePlace, _ extractor: FeatureExtractor) throws -> [Float] {
    var found: Result<ArraySlice<Float>, Failure>?
    _ = try extractor.forEach(of: [image]) { found = $1 }
    return Array(try found?.get() ?? [])
  }

  private func report(_ nearest: [SimilarImages.Match]) {
    if output.json {
      return printJSON(
        .array(nearest.map { .members(["path": .string($0.path), "similarity": .number($0.similarity)]) }))
    }
    for match in nearest { print("\(match.similarity < 0 ? "" : " ")\(fixed(match.similarity, 4))  \(printable(match.path))") }
  }
}
