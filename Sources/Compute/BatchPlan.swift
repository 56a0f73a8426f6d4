/// Columns of a plan for ``Backend/gatherBatch(images:labels:plan:channelMap:into:batchLabels:)``.
public enum BatchPlan {
  /// Number of columns of one view of an image: (index, top, left, flip).
  public static let viewColumns = 4
  /// Number of columns of a mixed image. Two views come first, each followed by its erased rectangle (top, left, height, width).
  /// The rectangle in which only the second view shows follows in the same form. The last two columns are the first view's share
  /// of the pixels elsewhere and its share of the label.
  public static let mixedColumns = 2 * (viewColumns + 4) + 4 + 2
  /// Number of columns of the labels of mixed images: (first, second, share of the first).
  public static let labelColumns = 3
  /// Integer that stands for a share of 1.
  public static let wholeShare = 1 << 24
}
