import CKernelParameters

/// Rows of a plan for ``BatchOperations/gatherBatch(images:labels:plan:channelMap:into:batchLabels:)``. The header
/// `parameters.h`, which the kernels include, names their columns.
public enum BatchPlan {
  /// Number of columns of one view of an image.
  public static let viewColumns = VIEW_COLUMNS
  /// Number of columns of a mixed image.
  public static let mixedColumns = MIXED_COLUMNS
  /// Number of columns of the labels of mixed images: (first, second, share of the first).
  public static let labelColumns = LABEL_COLUMNS
  /// Integer that stands for a share of 1.
  public static let wholeShare = WHOLE_SHARE

  /// Returns the row of one view of an image.
  /// - Parameters:
  ///   - index: number of the image.
  ///   - top: row of the image where the view begins, and `left` its column; negative in the border.
  ///   - isFlipped: whether columns are counted from the right.
  public static func view(_ index: Int, top: Int = 0, left: Int = 0, isFlipped: Bool = false) -> [Int32] {
    var row = [Int32](repeating: 0, count: VIEW_COLUMNS)
    (row[VIEW_INDEX], row[VIEW_IS_FLIPPED]) = (Int32(index), isFlipped ? 1 : 0)
    (row[VIEW_TOP], row[VIEW_LEFT]) = (Int32(top), Int32(left))
    return row
  }

  /// Returns a plan of views, int32 [N,viewColumns], of the same images: `top` rows further down, `left` columns further right,
  /// and mirrored once more if `isFlipped`.
  public static func moved(_ views: HostTensor, top: Int, left: Int, isFlipped: Bool) -> HostTensor {
    var values = views.elements(as: Int32.self)
    for row in stride(from: 0, to: values.count, by: VIEW_COLUMNS) {
      values[row + VIEW_TOP] += Int32(top)
      values[row + VIEW_LEFT] += Int32(left)
      if isFlipped { values[row + VIEW_IS_FLIPPED] = 1 - values[row + VIEW_IS_FLIPPED] }
    }
    return HostTensor(values, shape: views.shape)
  }

  /// Returns the numbers of the images in a plan of views, int32 [N,viewColumns].
  public static func indices(ofViews rows: HostTensor) -> [Int] {
    let values = rows.elements(as: Int32.self)
    return stride(from: VIEW_INDEX, to: values.count, by: VIEW_COLUMNS).map { Int(values[$0]) }
  }

  /// Returns the columns of a rectangle of the batch's pixels.
  public static func box(top: Int, left: Int, height: Int, width: Int) -> [Int32] {
    var columns = [Int32](repeating: 0, count: BOX_COLUMNS)
    (columns[BOX_TOP], columns[BOX_LEFT]) = (Int32(top), Int32(left))
    (columns[BOX_HEIGHT], columns[BOX_WIDTH]) = (Int32(height), Int32(width))
    return columns
  }

  /// Columns of a rectangle without pixels.
  public static let emptyBox = [Int32](repeating: 0, count: BOX_COLUMNS)

  /// Returns the row of a mixed image.
  /// - Parameters:
  ///   - first: view and its erased rectangle; `second` likewise.
  ///   - box: rectangle in which only the second view shows.
  ///   - pixelShare: share of the first view in the pixels elsewhere, in parts of ``wholeShare``.
  ///   - labelShare: share of the first view's label, in parts of ``wholeShare``.
  public static func mixed(
    _ first: (view: [Int32], erased: [Int32]), _ second: (view: [Int32], erased: [Int32]), box: [Int32], pixelShare: Int,
    labelShare: Int
  ) -> [Int32] {
    var row = [Int32](repeating: 0, count: MIXED_COLUMNS)
    for (columns, start) in [
      (first.view, MIXED_FIRST), (first.erased, MIXED_FIRST_ERASED), (second.view, MIXED_SECOND),
      (second.erased, MIXED_SECOND_ERASED), (box, MIXED_BOX),
    ] {
      row.replaceSubrange(start..<start + columns.count, with: columns)
    }
    (row[MIXED_PIXEL_SHARE], row[MIXED_LABEL_SHARE]) = (Int32(pixelShare), Int32(labelShare))
    return row
  }
}
