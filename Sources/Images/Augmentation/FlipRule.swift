import Support

/// Rule by which training images are mirrored left to right, other than at random in each epoch.
///
/// ```swift
/// var augmentation = Augmentation()
/// augmentation.flipRule = .alternate
/// ```
public enum FlipRule: String, Hashable, Codable, Sendable, CaseIterable {
  /// Mirrors half of the images in the first epoch, chosen at random. In each further epoch, mirrors those that were not mirrored
  /// in the epoch before. So two epochs in a row show both forms of every image, where independent choices repeat half of them
  /// (Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a single GPU", section 3.6).
  case alternate

  /// Returns whether a sample is mirrored in an epoch: a function of the arguments.
  func mirrors(seed: UInt64, epoch: Int, sample: Int) -> Bool {
    var random = Philox(seed: seed, stream: RandomStream.alternation, epoch: 0, sample: sample)
    return (random.below(2) == 1) == epoch.isMultiple(of: 2)
  }
}
