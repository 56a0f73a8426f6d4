import Compute
import Datasets
import Images

/// A picture of training images as the network sees them: a row a sample, first as it is, then as in each of the first epochs.
public struct ContactSheet {
  /// Rows, and columns after the first.
  public let samples, epochs: Int
  /// All of them, with a border around each.
  public let image: RGBImage

  /// Pixels between images.
  private static let border = 4
  /// Images are magnified or thinned out, by a whole factor, to sides between these.
  private static let (smallest, largest) = (96, 256)

  /// Loads the first samples, or of a folder the first of the classes in turns, as a batch of that run's epochs.
  /// - Parameter onDamage: told of those that cannot be decoded and are left out.
  /// - Throws: ``Failure`` for options and images that do not fit each other; what the backend throws.
  public init(
    _ configuration: RunConfiguration, _ images: any LabelledImages, samples: Int = 8, epochs: Int = 8, on backend: any Backend,
    onDamage: @escaping (Failure) -> Void = { _ in }
  ) throws {
    try configuration.check(images)
    let shown = images.prefix(min(samples, configuration.limitTrain ?? samples))
    if configuration.augmentation?.changesPixels == true, let dataset = images as? Dataset { try dataset.requirePixels() }

    func values(_ source: any BatchSource, _ plan: EpochPlan) throws -> [Float] {
      let loaded = try source.load(plan, batches: [0..<shown.count], from: 0)
      guard let (x, _) = try loaded.batch(0) else {
        throw Failure("none of the first \(shown.count) images can be decoded: mend or remove them")
      }
      return try backend.download(x).floats
    }
    let plain = try values(try batchSource(of: shown, on: backend, onDamage: onDamage), EpochPlan(inOrder: shown.count))
    let source = try batchSource(
      of: shown, crop: configuration.randomCrop, augmentation: configuration.augmentation, on: backend)
    let augmented = try (0..<epochs).map { epoch in
      try values(
        source,
        EpochPlan(
          seed: configuration.seed, epoch: epoch, count: shown.count, shuffle: false, augmentation: configuration.augmentation))
    }
    // What is damaged is missing in all of them.
    let size = shown.shape.dimensions.dropFirst()
    (self.samples, self.epochs) = (plain.count / size.reduce(1, *), epochs)
    image = Self.layOut([plain] + augmented, Shape([samples] + size), Self.display(shown.normalization, plain))
  }

  /// What makes bytes of a channel's normalised values. Values that are no bytes are stretched so that the plain images fill the range.
  private static func display(_ normalization: Normalization, _ plain: [Float]) -> (Float, _ channel: Int) -> UInt8 {
    func stored(_ x: Float, _ channel: Int) -> Float {
      (x * normalization.deviation[channel] + normalization.mean[channel]) * normalization.range
    }
    var (low, high): (Float, Float) = (0, 255)
    let range = (plain.min() ?? 0, plain.max() ?? 0)
    // Only images without a normalisation of their own can be other than bytes.
    if normalization.range == 1, range.0 < 0 || range.1 > 255 || range.1 <= 1 { (low, high) = range }
    let scale = 255 / max(high - low, .leastNormalMagnitude)
    return { x, channel in UInt8(min(255, max(0, (stored(x, channel) - low) * scale)).rounded()) }
  }

  /// - Parameter columns: [N,H,W,C] each.
  private static func layOut(
    _ columns: [[Float]], _ shape: Shape, _ display: (Float, _ channel: Int) -> UInt8
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
              // Without three channels, the first in grey.
              let channel = channels == 3 ? c : 0
              pixels[to + c] = display(images[from + channel], channel)
            }
          }
        }
      }
    }
    return RGBImage(height: sheetHeight, width: sheetWidth, pixels: pixels)
  }
}
