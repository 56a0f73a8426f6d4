import Compute
import Datasets
import Images
import Support

/// Picture of training images as the network sees them. A row shows one sample: first as it is, then as in each of the first
/// epochs.
public struct ContactSheet {
  /// Number of rows (`samples`), and number of columns after the first (`epochs`).
  public let samples, epochs: Int
  /// Picture of all images, with a border around each.
  public let image: RGBImage

  /// Loads the first samples, or of a folder the first of the classes in turns, as a batch of each of the run's epochs.
  /// - Parameter onDamage: called for each image that cannot be decoded and is left out.
  /// - Throws: ``Failure`` if options and images do not fit each other; errors of the backend.
  public init(
    _ configuration: RunConfiguration, _ images: any ImageSource, samples: Int = 8, epochs: Int = 8, on backend: any Backend,
    onDamage: @escaping (Failure) -> Void = { _ in }
  ) throws {
    try configuration.check(images)
    let shown = images.prefix(min(samples, configuration.data.limitTrain ?? samples))

    func values(_ source: BatchLoader, _ plan: EpochPlan) throws -> [Float] {
      let loaded = try source.load(plan, batches: [0..<shown.count])
      guard let (x, _) = try loaded.batch(0) else {
        throw Failure(
          .damagedFile, "none of the first \(shown.count) images can be decoded", remedy: "mend or remove them")
      }
      return try backend.download(x).floats
    }
    let plain = try values(try BatchLoader(shown, on: backend, onDamage: onDamage), EpochPlan(inOrder: shown.count))
    let source = try BatchLoader(
      shown, crop: configuration.randomCrop, augmentation: configuration.augmentation, on: backend)
    let augmented = try (0..<epochs).map { epoch in
      try values(
        source,
        EpochPlan(
          seed: configuration.seed, epoch: epoch, count: shown.count, shuffle: false, augmentation: configuration.augmentation))
    }
    // Damaged images are missing in all columns.
    let (height, width) = (shown.shape[1], shown.shape[2])
    let size = shown.shape.dimensions.dropFirst().reduce(1, *)
    let rows = plain.count / size
    let (columns, display) = ([plain] + augmented, PixelDisplay(shown.normalization, of: plain))
    let pictures = (0..<rows).flatMap { row in
      columns.map { display.picture($0[row * size..<(row + 1) * size], height: height, width: width) }
    }
    (self.samples, self.epochs) = (rows, epochs)
    image = PictureGrid(pictures, columns: columns.count).image
  }
}
