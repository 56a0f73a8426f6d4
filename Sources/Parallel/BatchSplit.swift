/// Division of a batch's images among devices.
package struct BatchSplit: Hashable, Sendable {
  /// Number of images that each device gets of a batch whose size is the sum of these numbers.
  package let weights: [Int]

  /// - Precondition: no weight is negative and one is positive.
  package init(weights: [Int]) {
    precondition(weights.allSatisfy { $0 >= 0 } && weights.contains { $0 > 0 }, "[BatchSplit] \(weights)")
    self.weights = weights
  }

  /// Creates equal shares for the given number of devices.
  package init(devices: Int) { self.init(weights: [Int](repeating: 1, count: devices)) }

  /// Creates shares of a batch of `images` in the ratio of the devices' speeds, rounded to whole images.
  package init(speeds: [Double], images: Int) {
    // 2³⁰ steps are finer than the images of any batch.
    let total = speeds.reduce(0, +)
    let fine = BatchSplit(weights: speeds.map { Int($0 / total * 0x1p30) })
    self.init(weights: fine.shares(of: images).map(\.count))
  }

  /// Returns the images of a batch that each device gets, in order. The result is a pure function of the weights and the batch
  /// size.
  package func shares(of images: Int) -> [Range<Int>] {
    let total = weights.reduce(0, +)
    var (start, sum) = (0, 0)
    return weights.map { weight in
      sum += weight
      let end = (images * sum + total / 2) / total
      defer { start = end }
      return start..<end
    }
  }
}
