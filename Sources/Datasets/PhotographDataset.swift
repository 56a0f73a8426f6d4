import Compute
import Images

/// A folder of photographs as a data set: files that are read, decoded and brought to one size when they are needed.
public struct PhotographDataset: LabelledImages {
  public let classes: [String]
  /// In the order of the folder.
  public let items: [ImageItem]
  /// Height and width of what the network sees.
  public let imageSize: Int
  /// What happens to images that cannot be decoded.
  public let damaged: DamagedImages

  public var name: String { DatasetKind.folder.rawValue }
  public var shape: Shape { [items.count, imageSize, imageSize, 3] }
  public var normalization: Normalization { .imageNet }

  /// - Precondition: the folder has images, and the size is positive.
  public init(_ folder: ImageFolder, imageSize: Int, damaged: DamagedImages = .fail) {
    self.init(
      classes: folder.classes,
      items: folder.samples.enumerated().map { ImageItem(path: $1.path, label: $1.label, sample: $0) }, imageSize: imageSize,
      damaged: damaged)
  }

  private init(classes: [String], items: [ImageItem], imageSize: Int, damaged: DamagedImages) {
    precondition(!items.isEmpty && imageSize > 0, "[PhotographDataset] \(items.count) images of \(imageSize) pixels")
    self.classes = classes
    self.items = items
    self.imageSize = imageSize
    self.damaged = damaged
  }

  public func prefix(_ count: Int) -> PhotographDataset {
    precondition(count > 0, "[PhotographDataset] a prefix of \(count) samples")
    return PhotographDataset(classes: classes, items: Array(items.prefix(count)), imageSize: imageSize, damaged: damaged)
  }
}
