/// The columns of a plan, as ``Backend/gatherBatch(images:labels:plan:channelMap:into:batchLabels:)`` takes it.
public enum BatchPlan {
  /// A view of an image: (index, top, left, flip).
  public static let viewColumns = 4
  /// Two views, each with the rectangle of it that is erased, (top, left, height, width), then the rectangle in which only the
  /// second shows, likewise, then the first one's share of the pixels elsewhere, and of the label.
  public static let mixedColumns = 2 * (viewColumns + 4) + 4 + 2
  /// Columns of the labels of mixed images: (first, second, share of the first).
  public static let labelColumns = 3
  /// The share that stands for 1.
  public static let wholeShare = 1 << 24
}
