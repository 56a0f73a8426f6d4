import Compute
import Formats
import Images
import Support

/// Images as tensors in a safetensors file: `images` [N,H,W,C] (U8 or F32) and `labels` [N] (I32 or I64). They are used as
/// they are, so bytes become 0…255. The tensors `validation_images` and `validation_labels` are optional; without them, the
/// training set is also validated on. The classes are numbered up to the largest label. Labels that make more than 1,000 classes,
/// of which fewer than one in 100 has an image, are refused.
enum TensorFile {
  /// Maximum number of classes. A label above it is taken for a mistake.
  static let maximumClasses = 1 << 16
  /// Number of classes up to which any number of them may be empty, and share of more classes that has images at least.
  private static let (fewClasses, fewestInUse) = (1000, 0.01)

  /// - Parameter share: share of the images to set apart for validation; nil to measure on `validation_images`.
  static func load(_ path: String, _ share: ValidationShare?) throws -> DatasetSplits {
    let tensors = try Safetensors.read(path).tensors
    let train = try Split(tensors, prefix: "", path)
    if share != nil, tensors["validation_images"] != nil {
      throw Failure(
        .conflictingSetting, about: path, "it holds validation_images, so none are set apart",
        remedy: "leave \(Setting.validationShare) out")
    }
    let validation: Split
    switch (tensors["validation_images"], tensors["validation_labels"]) {
    case (nil, nil): validation = train
    case (nil, _): throw Failure(.notFound, about: path, "validation_labels without validation_images")
    case (_, nil): throw Failure(.notFound, about: path, "validation_images without validation_labels")
    default: validation = try Split(tensors, prefix: "validation_", path)
    }
    guard train.images.shape.dimensions.dropFirst() == validation.images.shape.dimensions.dropFirst() else {
      throw Failure(
        .mismatch, about: path,
        "images are \(train.images.shape), but validation_images are \(validation.images.shape): another size")
    }
    let classes = Dataset.numberedClasses(try countClasses([train, validation], path))
    if let share { return try train.dataset(classes).divided(share) }
    return DatasetSplits(train: train.dataset(classes), validation: validation.dataset(classes))
  }

  /// Returns the number of classes, which the largest label tells.
  /// - Throws: a ``Failure`` if nearly all classes are empty: then this label means something else.
  private static func countClasses(_ splits: [Split], _ path: String) throws -> Int {
    let used = splits.reduce(into: Set<Int32>()) { $0.formUnion($1.labels) }
    let count = Int(used.max() ?? 0) + 1
    guard count <= fewClasses || Double(used.count) >= fewestInUse * Double(count) else {
      throw Failure(
        .damagedFile, about: path,
        "the label \(count - 1) makes \(grouped(count)) classes, and only \(grouped(used.count)) of them have an image",
        remedy: "number the classes 0, 1, 2 …; 65535 is often -1, which some programs give to images that are to be left out")
    }
    return count
  }

  private struct Split {
    let images: HostTensor
    let labels: [Int32]

    init(_ tensors: [String: HostTensor], prefix: String, _ path: String) throws {
      let (imagesName, labelsName) = ("\(prefix)images", "\(prefix)labels")
      guard let images = tensors[imagesName], let labels = tensors[labelsName] else {
        let found = tensors.keys.sorted().prefix(8).joined(separator: ", ")
        throw Failure(
          .notFound, about: path, "tensors images and labels are needed, it has \(found.isEmpty ? "none" : found)")
      }
      guard images.shape.rank == 4, images.type == .uint8 || images.type == .float32 else {
        throw Failure(
          .unsupported, about: path,
          "\(imagesName) are \(images.shape) of \(images.type), not [N, H, W, C] of uint8 or float32")
      }
      guard !hasChannelsFirst(images.shape) else {
        throw Failure(
          .unsupported, about: path, "\(imagesName) are \(images.shape), which looks like [N, C, H, W]",
          remedy: "[N, H, W, C] is wanted, as images.transpose(0, 2, 3, 1) of numpy makes it")
      }
      guard images.count > 0 else {
        throw Failure(.damagedFile, about: path, "\(imagesName) are empty, \(images.shape)")
      }
      guard images.isFinite else {
        throw Failure(.damagedFile, about: path, "\(imagesName) hold values that are not finite numbers")
      }
      guard labels.shape == [images.shape[0]], labels.type == .int32 || labels.type == .int64 else {
        throw Failure(
          labels.type == .int32 || labels.type == .int64 ? .mismatch : .unsupported, about: path,
          "\(labelsName) are \(labels.shape) of \(labels.type), not [\(images.shape[0])] of int32 or int64")
      }
      let values = labels.type == .int64 ? labels.elements(as: Int64.self) : labels.elements(as: Int32.self).map(Int64.init)
      if let index = values.firstIndex(where: { $0 < 0 || $0 >= maximumClasses }) {
        throw Failure(
          .damagedFile, about: path, "\(labelsName)[\(index)] is \(values[index]), not from 0 to \(maximumClasses - 1)")
      }
      self.images = images
      self.labels = values.map(Int32.init)
    }

    func dataset(_ classes: [String]) -> Dataset {
      Dataset(
        name: "tensors", images: images, labels: HostTensor(labels, shape: [labels.count]), classes: classes, namesClasses: false,
        normalization: .none(channels: images.shape[3]))
    }
  }
}

/// Whether images look like [N,C,H,W]. Read as [N,H,W,C], they have one to four rows, more columns than rows, and more than
/// four channels. Moreover they have three rows, or as many columns as channels.
///
/// Signals of one row, [N,1,W,C], are not meant, nor are small maps of many channels.
package func hasChannelsFirst(_ shape: Shape) -> Bool {
  guard shape.rank == 4, (1...4).contains(shape[1]), shape[3] > 4, shape[2] > shape[1] else { return false }
  return shape[1] == 3 || shape[2] == shape[3]
}
