import Compute

/// Normalization of a stored pixel to the network's input: x = (pixel / range − mean[c]) / deviation[c].
///
/// ```swift
/// let normalization = Normalization(mean: [0.5, 0.5, 0.5], deviation: [0.5, 0.5, 0.5])
/// let images = try classifier.classify(["rose.jpg"], normalization: normalization)
/// ```
public struct Normalization: Hashable, Codable, Sendable {
  /// Stored value that counts as 1: 255 for bytes, 1 for values that are used as they are.
  public let range: Float
  /// Mean and standard deviation of each channel over the training set, in units of `range`.
  public let mean, deviation: [Float]

  /// - Parameters:
  ///   - range: largest value of a pixel.
  ///   - mean: mean of each channel, in units of `range`.
  ///   - deviation: standard deviation of each channel, in units of `range`, above 0.
  public init(range: Float = 255, mean: [Float], deviation: [Float]) {
    self.range = range
    self.mean = mean
    self.deviation = deviation
  }

  /// Whether it suits images with this number of channels and gives finite numbers.
  public func fits(channels: Int) -> Bool {
    mean.count == channels && deviation.count == channels && range.isFinite && range > 0 && mean.allSatisfy(\.isFinite)
      && deviation.allSatisfy { $0.isFinite && $0 > 0 }
  }

  /// Returns the network's input for pixels [...,C]: float32 of the same count.
  public func applied(to pixels: some Collection<UInt8>) -> [Float] {
    let channels = mean.count
    let map = zip(mean, deviation).map { mean, deviation in (0..<256).map { (Float($0) / range - mean) / deviation } }
    return pixels.enumerated().map { map[$0 % channels][Int($1)] }
  }

  /// Returns the identity, x = pixel.
  public static func none(channels: Int) -> Normalization {
    Normalization(
      range: 1, mean: [Float](repeating: 0, count: channels), deviation: [Float](repeating: 1, count: channels))
  }

  /// Normalization of color bytes that torchvision's models of the ImageNet family expect.
  public static let imageNet = Normalization(mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225])

  /// Normalization of gray bytes: ``imageNet`` with the means over the colors.
  public static let imageNetGray = Normalization(mean: [0.449], deviation: [0.226])

  /// Normalization in the form x = pixel·scale + shift, as
  /// ``BatchOperations/gatherBatch(images:labels:plan:channelMap:into:batchLabels:)`` takes it: float32 [2,C], first
  /// scale = 1 / (range·deviation), then shift = −mean / deviation.
  public var channelMap: HostTensor {
    let scales = deviation.map { 1 / (range * $0) }
    let shifts = zip(mean, deviation).map { -$0 / $1 }
    return HostTensor(scales + shifts, shape: [2, mean.count])
  }
}
