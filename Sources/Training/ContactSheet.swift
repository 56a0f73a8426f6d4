import Compute
import Datasets
import Images
import Support

/// Picture of training images as the network sees them. A row shows one sample: first as it is, then as in each of the first
/// epochs. Images that grow are shown in the size of whole ones.
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

    func values(_ source: BatchLoader, _ plan: EpochPlan, _ size: (height: Int, width: Int)? = nil) throws -> HostTensor {
      let loaded = try source.load(plan, batches: [0..<shown.count], size: size)
      guard let (x, _) = try loaded.batch(0) else {
        throw Failure(
          .damagedFile, "none of the first \(shown.count) images can be decoded", remedy: "mend or remove them")
      }
      return try backend.download(x)
    }
    let plain = try values(try BatchLoader(shown, on: backend, onDamage: onDamage), EpochPlan(inOrder: shown.count))
    let growth = try configuration.growth(of: images.shape)
    let source = try BatchLoader(
      shown, crop: configuration.randomCrop, augmentation: configuration.augmentation, on: backend)
    let augmented = try (0..<epochs).map { epoch in
      try values(
        source,
        EpochPlan(
          seed: configuration.seed, epoch: epoch, count: shown.count, shuffle: false, augmentation: configuration.augmentation),
        growth?.size(ofEpoch: epoch))
    }
    let display = PixelDisplay(shown.normalization, of: plain.floats)
    let columns = ([plain] + augmented).map { display.pictures($0, height: shown.shape[1], width: shown.shape[2]) }
    // Damaged images are missing in all columns.
    (self.samples, self.epochs) = (columns[0].count, epochs)
    image = PictureGrid(columns[0].indices.flatMap { row in columns.map { $0[row] } }, columns: columns.count).image
  }
}
