import Support

/// Share of the training images that is set apart to validate on, the same of each class.
///
/// ```swift
/// let data = TrainingData.folder("flowers", validationShare: ValidationShare(0.2, seed: 1))
/// ```
public struct ValidationShare: Hashable, Codable, Sendable {
  /// Share of the images of a class, above 0 and below 1. At least one image of each class is set apart, and at least one is
  /// left.
  public var share: Double
  /// Random seed that selects the images. With one seed, the same images give the same parts.
  public var seed: UInt64

  /// Share that is set apart if none is asked for.
  public static let usual = ValidationShare(0.1)

  private static let stream: UInt32 = 0x1A00_0002

  public init(_ share: Double, seed: UInt64 = 0) { (self.share, self.seed) = (share, seed) }

  /// Checks the share.
  /// - Throws: a ``Failure`` if it is not between 0 and 1.
  public func validate() throws {
    guard share > 0 && share < 1 else { throw Failure(.validationShare, share, "it must be above 0 and below 1") }
  }

  /// Description for notes: `a tenth`.
  package var description: String { share == Self.usual.share ? "a tenth" : "a share of \(share)" }

  /// Selects the images to set apart.
  /// - Parameters:
  ///   - labels: number of each image's class.
  ///   - subject: returns the name of a class for messages.
  /// - Returns: true for each image that is set apart.
  /// - Throws: a ``Failure`` for a class with a single image.
  package func selection(_ labels: [Int32], subject: (Int) -> String) throws -> [Bool] {
    try validate()
    var apart = [Bool](repeating: false, count: labels.count)
    for (label, images) in Dictionary(grouping: labels.indices, by: { labels[$0] }).sorted(by: { $0.key < $1.key }) {
      guard images.count > 1 else {
        throw Failure(
          .mismatch, about: subject(Int(label)),
          "a single image; at least two are needed to train on one and measure on the other")
      }
      var random = Philox(seed: seed, stream: Self.stream, index: UInt64(label))
      var order = images
      for index in 0..<min(images.count - 1, max(1, Int((Double(images.count) * share).rounded()))) {
        order.swapAt(index, index + random.below(images.count - index))
        apart[order[index]] = true
      }
    }
    return apart
  }
}
