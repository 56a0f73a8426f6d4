extension [Double] {
  /// Median: the middle value, or the mean of the two middle values.
  /// - Precondition: the array is not empty.
  public var median: Double {
    let sorted = sorted()
    let middle = count / 2
    return count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  }
}
