import ArgumentParser
import Compute
import Datasets
import ResNetKit
import Support

/// Options `--mean` and `--std`, for the commands that read image files and those that record how they are to be read.
struct NormalizationOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Mean of each channel over the training images, from 0 to 1, if the file lacks it.", valueName: "0.485,0.456,0.406"))
  var mean: String?

  @Option(help: ArgumentHelp("Standard deviation of each channel, if the file lacks it.", valueName: "0.229,0.224,0.225"))
  var std: String?

  func validate() throws { _ = try normalization() }

  /// Returns the normalization of the network's image files: that of the options, or else that of the network's file.
  /// - Throws: a usage error if neither has one, and if the options are for another number of channels.
  func normalization(for checkpoint: Checkpoint) throws -> Normalization {
    if let given = try normalization() {
      guard given.mean.count == checkpoint.channels else {
        throw usageError(
          "--mean and --std have \(given.mean.count) values, \(checkpoint.name) takes images of \(checkpoint.channels) channels")
      }
      return given
    }
    // Tensors were used as they were; how they had been normalized is not known.
    guard let known = checkpoint.normalization, checkpoint.dataset != DatasetKind.tensors.rawValue else {
      throw usageError("\(checkpoint.path) does not say how images are normalized: add --mean and --std")
    }
    if !checkpoint.tellsImages {
      printError(
        "\(checkpoint.path) does not say how images are prepared: they are brought to \(checkpoint.imageSize.height)×"
          + "\(checkpoint.imageSize.width) pixels and normalized as for torchvision's models; --image-size, "
          + "--resize, --mean and --std say otherwise"
      )
    }
    return known
  }

  /// Returns the normalization of the options; nil if they are not given.
  /// - Throws: a usage error for values that make no sense.
  func normalization() throws -> Normalization? {
    guard !given.isEmpty else { return nil }
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
