import Compute

/// Winograd's convolution as a batch of matrix products, one for each point of a transformed tile, whose tiles work-groups share:
/// `winograd_batched.cl` and `batched_product.cl`. This form is for GPUs.
struct BatchedWinograd: ConvolutionAlgorithm {
  /// Side of a tile in outputs. It never makes the result less exact than the device's policy allows.
  var side: Int?
  /// Sizes of the products. A convolution's sums are not split, because their transform has to follow.
  var product = ImplicitGEMM()

  static let name = "batched"
  static let kernelClass: KernelClass? = .localTiled
  static let transforms = true

  static var sizes: [String: WritableKeyPath<Self, Int?>] {
    let product: WritableKeyPath<Self, ImplicitGEMM> = \.product
    var sizes = ImplicitGEMM.sizes.mapValues { product.appending(path: $0) }
    sizes["M"] = \.side
    return sizes
  }

  static func candidates(for pass: ConvolutionPass) -> [Self] {
    let tiles = [(128, 128, 8, 8), (128, 64, 8, 8), (64, 128, 8, 8), (64, 64, 4, 8), (64, 64, 8, 8), (32, 32, 4, 4)]
    let splits = pass == .filterGradient ? [1, 4, 16, 64] : []
    return [Self()]
      + tiles.map { Self(product: ImplicitGEMM(rows: $0, columns: $1, itemRows: $2, itemColumns: $3)) }
      + splits.map { Self(product: ImplicitGEMM(splits: $0)) } + [Self(side: 2)]
  }

  func plan(_ task: ConvolutionTask, isChosen: Bool) -> (any ConvolutionPlan)? {
    guard let tiling = BatchedWinogradTiling(task, self, isChosen: isChosen) else { return nil }
    return BatchedWinogradPlan(task, tiling)
  }

  func planFilterGradient(_ task: ConvolutionTask, isChosen: Bool) -> (any FilterGradientPlan)? {
    guard let tiling = BatchedWinogradTiling(task, self, isChosen: isChosen) else { return nil }
    return BatchedWinogradFilterGradientPlan(task, tiling)
  }
}
