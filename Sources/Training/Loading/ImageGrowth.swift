import Compute
import Models
import Support

/// Sizes of training images that grow from epoch to epoch. Early epochs on small images are cheap, and a network that is measured
/// on larger images than it saw most of the time is none the worse for it (Touvron et al. 2019, "Fixing the train-test resolution
/// discrepancy").
///
/// The shorter side grows linearly over the epochs. The first epoch has the first side, the last one has the whole images; the
/// sides between are rounded to multiples of a step, because each size has kernels of its own.
struct ImageGrowth {
  /// Shorter side of the first epoch's images.
  let first: Int
  /// Height and width of whole images.
  let full: (height: Int, width: Int)
  /// Number of epochs.
  let epochs: Int
  /// Step of the sides between the first and the last.
  let step: Int

  /// - Precondition: the first side is above 0 and below both sides of whole images.
  init(from first: Int, to full: (height: Int, width: Int), epochs: Int, step: Int) {
    precondition((1..<min(full.height, full.width)).contains(first) && step > 0, "[ImageGrowth] from \(first) to \(full)")
    (self.first, self.full, self.epochs, self.step) = (first, full, epochs, step)
  }

  /// Returns the height and the width of an epoch's images.
  /// - Parameter epoch: number of the epoch, counted from 0.
  func size(ofEpoch epoch: Int) -> (height: Int, width: Int) {
    let short = min(full.height, full.width)
    let side = side(ofEpoch: epoch, short)
    func scaled(_ length: Int) -> Int { max(1, Int((Double(length) * Double(side) / Double(short)).rounded())) }
    return (scaled(full.height), scaled(full.width))
  }

  private func side(ofEpoch epoch: Int, _ last: Int) -> Int {
    if epoch >= epochs - 1 { return last }
    let side = Double(first) + Double(last - first) * Double(epoch) / Double(epochs - 1)
    let rounded = Int((side / Double(step)).rounded()) * step
    return epoch == 0 ? first : min(max(rounded, first), last)
  }

  /// All sizes, in the order of the epochs; of very long runs those of a thousand epochs.
  var sizes: [(height: Int, width: Int)] {
    let shown = min(epochs, 1000)
    var sizes: [(height: Int, width: Int)] = []
    for index in 0..<shown {
      let size = size(ofEpoch: index * (epochs - 1) / max(1, shown - 1))
      if sizes.last.map({ $0 != size }) ?? true { sizes.append(size) }
    }
    return sizes
  }
}

extension RunConfiguration {
  /// Returns the growth of training images; nil if all epochs have whole images.
  /// - Parameter images: shape of the images, [N,H,W,C].
  /// - Throws: ``Failure`` for an unknown network, and for images that cannot grow from this side.
  func growth(of images: Shape) throws -> ImageGrowth? {
    guard let resizeFrom else { return nil }
    let (height, width) = (images[1], images[2])
    try demand(
      resizeFrom < min(height, width), .resizeFrom, resizeFrom, "images of \(height)×\(width) cannot grow from this side")
    try demand(
      max(height, width) <= ModelConfiguration.imageSides.upperBound, .resizeFrom, resizeFrom,
      "images of more than \(ModelConfiguration.imageSides.upperBound) pixels along a side are not shrunk")
    return ImageGrowth(from: resizeFrom, to: (height, width), epochs: epochs, step: try model.reduction())
  }

  /// Returns the shapes [N,H,W,C] that batches have during the run; the last one is the largest.
  /// - Parameter batch: shape of a batch of whole images.
  /// - Throws: ``Failure`` for an unknown network, and for images that cannot grow as the settings say.
  package func batchShapes(_ batch: Shape) throws -> [Shape] {
    try growth(of: batch)?.sizes.map { [batch[0], $0.height, $0.width, batch[3]] } ?? [batch]
  }
}
