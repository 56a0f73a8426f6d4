import Compute
import Datasets
import Images

/// View of an image, one of those that a classifier sees.
public struct View: Hashable, Sendable {
  /// Row (`top`) and column (`left`) of the pixel at the view's upper left corner.
  public var top = 0
  public var left = 0
  /// Whether the view is mirrored left to right.
  public var isFlipped = false

  /// Returns the rows of a plan, int32 [N,viewColumns], for this view of the same images.
  func applied(to rows: HostTensor) -> HostTensor {
    if self == View() { return rows }
    precondition(rows.shape[1] == BatchPlan.viewColumns, "[View] views of mixed images")
    return BatchPlan.moved(rows, top: top, left: left, isFlipped: isFlipped)
  }
}

/// Test-time augmentation: whether a classifier sees an image more than once. The probabilities of all views are averaged.
public enum TestTimeAugmentation: String, CaseIterable, Sendable {
  case none
  /// The image and its mirror image.
  case flip
  /// The four corners and the center of an image that is larger than the network's input, and their mirror images (Krizhevsky et
  /// al. 2012, section 4.1; He et al. 2015, section 3.4).
  case tenCrop = "ten-crop"
}

/// Images as a classifier sees them: each in one view or in several.
public struct ImageViews: Sendable {
  /// Images that contain the views.
  public let source: any ImageSource
  /// Views of each image; at least one.
  public let views: [View]
  /// Height and width of a view in pixels.
  public let height, width: Int

  /// Number of channels of a view.
  public var channels: Int { source.shape[3] }

  /// Returns the shape [N,H,W,C] of the largest batch, if a batch has at most `size` images.
  public func shape(ofBatch size: Int) -> Shape { [min(size, source.count), height, width, channels] }

  /// - Parameter cropSize: height and width of the views of ``TestTimeAugmentation/tenCrop``, nil for those of the source's
  ///   images; the other views show whole images.
  /// - Throws: a ``Failure`` for ten crops if the images are not larger than the crops.
  public init(
    _ source: any ImageSource, _ augmentation: TestTimeAugmentation = .none, cropSize: (height: Int, width: Int)? = nil
  ) throws {
    let whole = (height: source.shape[1], width: source.shape[2])
    switch augmentation {
    case .none: self.init(source, [View()], whole)
    case .flip: self.init(source, [View(), View(isFlipped: true)], whole)
    case .tenCrop:
      let crop = cropSize ?? whole
      let (images, areas) = try source.fiveCrops(height: crop.height, width: crop.width)
      self.init(
        images, [false, true].flatMap { flip in areas.map { View(top: $0.top, left: $0.left, isFlipped: flip) } }, crop)
    }
  }

  private init(_ source: any ImageSource, _ views: [View], _ size: (height: Int, width: Int)) {
    (self.source, self.views) = (source, views)
    (height, width) = size
  }
}
