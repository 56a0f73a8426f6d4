import Compute
import Formats
import Images
import Support

/// Features of images in a safetensors file: `features` [N,F] of float32, and `paths`, the images' paths in UTF-8 with a zero byte
/// between two of them.
package struct FeatureFile {
  /// Paths of the images, in the order of the rows.
  package let paths: [String]
  /// Features of all images, [N,F].
  private let values: [Float]
  /// Number of features of an image.
  package let count: Int

  /// Features of one image.
  package subscript(index: Int) -> ArraySlice<Float> { values[index * count..<(index + 1) * count] }

  /// Reads a file.
  /// - Throws: ``Failure`` if it is damaged or holds no features of images.
  package init(_ path: String) throws {
    let file = try Safetensors.read(path)
    guard let features = file.tensors["features"], let names = file.tensors["paths"], features.shape.rank == 2,
      features.type == .float32, names.type == .uint8
    else {
      throw Failure(
        .notFound, about: path, "no features of images: tensors features [N, F] of F32 and paths of U8 are needed")
    }
    let parts = names.bytes.isEmpty ? [] : names.bytes.split(separator: 0, omittingEmptySubsequences: false)
    guard parts.count == features.shape[0], features.isFinite else {
      throw Failure(
        .damagedFile, about: path, "features \(features.shape) with \(grouped(parts.count)) paths: they do not belong together")
    }
    paths = parts.map { String(decoding: $0, as: UTF8.self) }
    (values, count) = (features.floats, features.shape[1])
  }

  /// Computes the features of images and writes them, a batch at a time.
  /// - Parameters:
  ///   - progress: called after each batch with the number of images done; returns false to stop early, which leaves no file.
  ///   - onDamage: called for each image that cannot be decoded. It has no row.
  /// - Returns: the number of rows; nil if `progress` stopped the work.
  /// - Throws: ``Failure`` if the file cannot be written; what the device throws.
  package static func write(
    of images: [ImagePlace], by extractor: FeatureExtractor, to path: String, progress: (Int) throws -> Bool,
    onDamage: (Failure) -> Void
  ) throws -> Int? {
    do {
      return try Safetensors.writeRows(
        "features", columns: extractor.count, metadata: ["network": extractor.checkpoint.name], to: path
      ) { append in
        var names: [UInt8] = []
        var isFirst = true
        let isDone = try extractor.forEach(of: images, progress: progress) { image, result in
          switch result {
          case .success(let features):
            try append(features)
            if !isFirst { names.append(0) }
            names += image.path.utf8
            isFirst = false
          case .failure(let failure): onDamage(failure)
          }
        }
        guard isDone else { throw CancellationError() }
        return [(name: "paths", tensor: HostTensor(names, shape: [names.count]))]
      }
    } catch is CancellationError { return nil }
  }
}
