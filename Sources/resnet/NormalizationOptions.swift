import ArgumentParser
import Compute
import Datasets

/// `--mean` and `--std`, of the commands that read image files, and those that note how they are to be read.
struct NormalizationOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Mean of each channel over the training images, in 0…1, where the file does not tell.", valueName: "0.485,0.456,0.406"))
  var mean: String?

  @Option(help: ArgumentHelp("Its standard deviation.", valueName: "0.229,0.224,0.225"))
  var std: String?

  /// The name of an option that was given.
  var given: String? { mean != nil ? "--mean" : std != nil ? "--std" : nil }

  func validate() throws { _ = try normalization() }

  /// How the network's image files are normalised: as the options say, or else as its file does.
  /// - Throws: a usage error where neither does, and where the options are for other channels.
  func normalization(for checkpoint: Checkpoint) throws -> Normalization {
    if let given = try normalization() {
      guard given.mean.count == checkpoint.channels else {
        throw usageError(
          "--mean and --std have \(given.mean.count) values, \(checkpoint.name) takes images of \(checkpoint.channels) channels")
      }
      return given
    }
    // Tensors were used as they were: how they had been made is not known.
    guard let known = checkpoint.normalization, checkpoint.dataset != DatasetKind.tensors.rawValue else {
      throw usageError("\(checkpoint.path) does not say how images are normalised: add --mean and --std")
    }
    if !checkpoint.tellsImages {
      printError(
        "\(checkpoint.path) does not say how images are prepared: they are brought to \(checkpoint.imageSize.height)×"
          + "\(checkpoint.imageSize.width) pixels and normalised as for torchvision's models; --image-size, --resize, --mean and --std say otherwise"
      )
    }
    return known
  }

  /// As the options say; nil where they do not.
  /// - Throws: a usage error for values that make no sense.
  func normalization() throws -> Normalization? {
    guard given != nil else { return nil }
    guard let mean, let std else { throw ValidationError("--mean and --std go together") }
    let means = try numbers(mean, "--mean", from: "0 to 1") { (0...1).contains($0) }
    let deviations = try numbers(std, "--std", from: "above 0 to 1") { $0 > 0 && $0 <= 1 }
    guard means.count == deviations.count else {
      throw ValidationError("--mean has \(means.count) values and --std \(deviations.count): one for each channel is needed")
    }
    return Normalization(mean: means, deviation: deviations)
  }

  private func numbers(_ text: String, _ name: String, from range: String, _ isRight: (Float) -> Bool) throws -> [Float] {
    try text.split(separator: ",", omittingEmptySubsequences: false).map { part in
      guard let value = Float(part), isRight(value) else {
        throw ValidationError("\(name) '\(text)': a number from \(range) for each channel is needed, with commas between them")
      }
      return value
    }
  }
}
