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

  /// Width of the border between images in pixels.
  private static let border = 4
  /// Limits of the sides of the images shown. Images are enlarged or subsampled by a whole factor to sides between these.
  private static let (smallest, largest) = (96, 256)

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
    let size = shown.shape.dimensions.dropFirst()
    (self.samples, self.epochs) = (plain.count / size.reduce(1, *), epochs)
    image = Self.layOut([plain] + augmented, Shape([samples] + size), PixelDisplay(shown.normalization, of: plain))
  }

  /// Arranges the images in a picture.
  /// - Parameter columns: images of each column, [N,H,W,C] each.
  private static func layOut(
    _ columns: [[Float]], _ shape: Shape, _ display: PixelDisplay
  ) -> RGBImage {
    let (rows, height, width, channels) = (shape[0], shape[1], shape[2], shape[3])
    let factor = max(1, smallest / max(height, width))
    let every = (max(height, width) + largest - 1) / largest
    let (tileHeight, tileWidth) = (height * factor / every, width * factor / every)
    let (rowStep, columnStep) = (tileHeight + border, tileWidth + border)
    let (sheetHeight, sheetWidth) = (rows * rowStep + border, columns.count * columnStep + border)
    var pixels = [UInt8](repeating: 255, count: sheetHeight * sheetWidth * 3)
    for (column, images) in columns.enumerated() {
      for row in 0..<rows {
        for y in 0..<tileHeight {
          for x in 0..<tileWidth {
            let from = ((row * height + y * every / factor) * width + x * every / factor) * channels
            let to = ((border + row * rowStep + y) * sheetWidth + border + column * columnStep + x) * 3
            for c in 0..<3 {
              // Images without three channels show their first channel in gray.
              let channel = channels == 3 ? c : 0
              pixels[to + c] = display.byte(images[from + channel], channel)
            }
          }
        }
      }
    }
    return RGBImage(height: sheetHeight, width: sheetWidth, pixels: pixels)
  }
}
