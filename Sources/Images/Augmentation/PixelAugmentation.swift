import Support

/// Random changes of brightness, contrast, saturation and hue, in random order, as in torchvision's `ColorJitter`.
///
/// ```swift
/// let jitter = ColorJitter(brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1)
/// ```
public struct ColorJitter: Hashable, Codable, Sendable {
  /// Strengths of the changes. Each factor is uniform on max(0, 1 − value) … 1 + value; 0 for no change.
  public var brightness, contrast, saturation: Double
  /// Strength of the hue shift, 0 … 0.5. The shift in turns is uniform on −hue … hue.
  public var hue: Double

  /// Creates a jitter from its largest changes. They are at least 0, and that of the hue is at most half a turn.
  public init(brightness: Double = 0, contrast: Double = 0, saturation: Double = 0, hue: Double = 0) {
    self.brightness = brightness
    self.contrast = contrast
    self.saturation = saturation
    self.hue = hue
  }

  func draw(_ random: inout Philox) -> [PixelOperation] {
    func factor(_ strength: Double) -> Double { random.uniform(max(0, 1 - strength), 1 + strength) }
    // All changes are drawn, so that one strength does not affect the draws of another.
    var operations: [(operation: PixelOperation, strength: Double)] = [
      (.brightness(factor(brightness)), brightness), (.contrast(factor(contrast)), contrast),
      (.saturation(factor(saturation)), saturation), (.hue(random.uniform(-hue, hue)), hue),
    ]
    for last in stride(from: operations.count - 1, to: 0, by: -1) { operations.swapAt(last, random.below(last + 1)) }
    return operations.filter { $0.strength > 0 }.map(\.operation)
  }
}

/// TrivialAugment with its wide space (Müller & Hutter 2021), as in `TrivialAugmentWide` of torchvision's transforms.v2: one
/// of fourteen operations, with one of 31 strengths.
public enum TrivialAugment {
  /// Number of strengths of each operation.
  public static let bins = 31

  /// Operations in torchvision's order. Each takes the index of a strength, below ``bins``, and the sign, if the operation
  /// has one.
  public static let operations: [@Sendable (_ bin: Int, _ isNegative: Bool) -> PixelOperation] = [
    { _, _ in .identity },
    { .shearX(signed($0, 0.99, $1)) },
    { .shearY(signed($0, 0.99, $1)) },
    { .translateX(Int(signed($0, 32, $1))) },
    { .translateY(Int(signed($0, 32, $1))) },
    { .rotate(signed($0, 135, $1)) },
    { .brightness(1 + signed($0, 0.99, $1)) },
    { .saturation(1 + signed($0, 0.99, $1)) },
    { .contrast(1 + signed($0, 0.99, $1)) },
    { .sharpness(1 + signed($0, 0.99, $1)) },
    { bin, _ in .posterize(8 - Int((Double(bin) / 5).rounded(.toNearestOrEven))) },
    { bin, _ in .solarize(255 * linear(bin, 1, 0)) },
    { _, _ in .autoContrast },
    { _, _ in .equalize },
  ]

  /// Interpolates evenly from first to last with the rounding of `torch.linspace`, on which integers and thresholds depend.
  private static func linear(_ bin: Int, _ first: Float, _ last: Float) -> Double {
    let step = (last - first) / Float(bins - 1)
    return Double(bin < bins / 2 ? first.addingProduct(step, Float(bin)) : last.addingProduct(-step, Float(bins - 1 - bin)))
  }

  private static func signed(_ bin: Int, _ largest: Float, _ isNegative: Bool) -> Double {
    (isNegative ? -1 : 1) * linear(bin, 0, largest)
  }

  static func draw(_ random: inout Philox) -> PixelOperation {
    let operation = operations[random.below(operations.count)]
    return operation(random.below(bins), random.below(2) == 1)
  }
}

/// Random changes of the pixels of cropped training images, in one epoch.
public struct PixelAugmentation: Hashable, Sendable {
  /// Color jitter; nil for none.
  public let colorJitter: ColorJitter?
  /// Whether ``TrivialAugment`` is applied first.
  public let trivialAugment: Bool
  /// Random seed. Together with the epoch and a sample's number it determines the changes.
  public let seed: UInt64
  /// Epoch, counted from 0.
  public let epoch: Int

  private static let jitterStream: UInt32 = 0x1A00_0003
  private static let trivialStream: UInt32 = 0x1A00_0004

  /// Creates the augmentation of one epoch.
  public init(colorJitter: ColorJitter?, trivialAugment: Bool, seed: UInt64, epoch: Int) {
    self.colorJitter = colorJitter
    self.trivialAugment = trivialAugment
    self.seed = seed
    self.epoch = epoch
  }

  /// Returns the operations for a sample: a function of the seed, the epoch and the sample's number.
  public func draw(sample: Int) -> [PixelOperation] {
    func random(_ stream: UInt32) -> Philox {
      Philox(seed: seed, stream: stream, epoch: epoch, sample: sample)
    }
    var operations: [PixelOperation] = []
    if trivialAugment {
      var random = random(Self.trivialStream)
      operations.append(TrivialAugment.draw(&random))
    }
    if let colorJitter {
      var random = random(Self.jitterStream)
      operations += colorJitter.draw(&random)
    }
    return operations
  }

  /// Changes a sample's pixels [height,width,3] in place.
  public func apply(to pixels: UnsafeMutableBufferPointer<UInt8>, height: Int, width: Int, sample: Int) {
    for operation in draw(sample: sample) { operation.apply(to: pixels, height: height, width: width) }
  }
}

/// Transform whose results are changed at random.
public struct AugmentedTransform: ImageTransform {
  /// Geometric transform.
  public let base: any ImageTransform
  /// Pixel augmentation that is applied afterwards.
  public let augmentation: PixelAugmentation

  public var height: Int { base.height }
  public var width: Int { base.width }

  /// Creates a transform that applies both, one after the other.
  public init(_ base: any ImageTransform, _ augmentation: PixelAugmentation) {
    self.base = base
    self.augmentation = augmentation
  }

  public func apply(_ image: EncodedImage, sample: Int, into pixels: UnsafeMutableBufferPointer<UInt8>) throws {
    try base.apply(image, sample: sample, into: pixels)
    augmentation.apply(to: pixels, height: height, width: width, sample: sample)
  }
}
