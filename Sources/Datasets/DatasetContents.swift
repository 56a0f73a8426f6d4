import Formats
import Images
import Support

/// Fingerprint of a data set's images, which shows whether they have changed. Fingerprints that earlier versions took lack the later
/// members.
public struct DatasetContents: Hashable, Codable, Sendable {
  /// Number of images.
  public var count: Int
  /// Checksum of the images' paths within the folder and their labels, in order. For images in memory, checksum of the labels
  /// and the first images.
  public var checksum: String
  /// CRC-32 of the labels of images in memory, and of all their pixels with their shape and type; nil for photographs.
  public var labels, pixels: String?
  /// CRC-32 of the sizes in bytes of photographs' files, and of the times when they were last changed; nil for images in memory.
  public var sizes, times: String?

  /// Returns what differs from an earlier fingerprint; nil for nothing that both know.
  /// - Parameters:
  ///   - use: use of the images, for example `to train on`.
  ///   - isMoved: whether the images are at another place, where their files may have other times.
  package func change(since known: DatasetContents, _ use: String, isMoved: Bool) -> String? {
    func differ(_ a: String?, _ b: String?) -> Bool { a != nil && b != nil && a != b }
    if count != known.count { return "\(count) images \(use), not \(known.count)" }
    let some = "some of the \(count) images \(use)"
    if differ(labels, known.labels) { return "\(some) have other labels" }
    if differ(pixels, known.pixels) { return "\(some) have other pixels or another size" }
    if checksum != known.checksum { return "\(some) have other names or labels, or are others" }
    if differ(sizes, known.sizes) { return "\(some) have files of other sizes" }
    if !isMoved, differ(times, known.times) { return "the files of \(some) were changed since" }
    return nil
  }
}

extension DatasetContents {
  /// Takes the fingerprint of photographs. Each file is looked at, and none is read.
  init(_ samples: [ImageFolder.Sample]) {
    var (checksum, sizes, times) = (Checksum(), CRC32(), CRC32())
    for sample in samples {
      checksum.add("\(sample.name)\0\(sample.label)\0".utf8)
      // A file that cannot be looked at is reported when it is read.
      let (byteCount, time) = sample.place.stamp ?? (-1, 0)
      withUnsafeBytes(of: byteCount.littleEndian) { sizes.add($0) }
      withUnsafeBytes(of: time.littleEndian) { times.add($0) }
    }
    (self.count, self.checksum, self.sizes, self.times) = (samples.count, checksum.text, sizes.text, times.text)
  }

  /// Takes the fingerprint of images in memory.
  init(_ images: Dataset) {
    var checksum = Checksum()
    checksum.add(images.labels.bytes)
    checksum.add(images.images.bytes.prefix(1 << 16))
    var pixels = CRC32()
    pixels.add("\(images.images.shape) \(images.images.type.rawValue)\0".utf8)
    pixels.add(images.images.bytes)
    let labels = CRC32.of(images.labels.bytes)
    (self.count, self.checksum, self.labels, self.pixels) = (images.count, checksum.text, CRC32.text(labels), pixels.text)
  }
}
