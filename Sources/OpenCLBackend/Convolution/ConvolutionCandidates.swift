import Compute

extension OpenCLBackend {
  /// Returns the choices worth trying for this work, the most promising first. Each leads to a plan that differs from the
  /// built-in one and from all others. All are as exact as the device's policy demands for that pass
  /// (``DeviceTraits/winogradSide``): a plan ignores a number that would make it less exact.
  package func candidates(for work: ConvolutionWork) -> [ConvolutionChoice] {
    let isGradient = work.pass == .filterGradient
    let direct = isGradient ? FilterGradientPlan.candidates : ConvolutionPlan.candidates
    // The kernels for the other class of devices are slower by far.
    let tiles =
      traits.kernelClass == .localTiled
      ? BatchedPlan.candidates(isGradient: isGradient) + TiledPlan.candidates
      : WinogradPlan.candidates(isGradient: isGradient) + direct
    // CLBlast multiplies float32 only.
    let product = work.storage == .float32 ? [ConvolutionChoice(.product)] : []
    var seen: Set = [methods(for: work, by: nil)]
    return (tiles + product + [ConvolutionChoice(.plain)]).filter { candidate in
      let methods = methods(for: work, by: candidate)
      return methods.contains { $0.algorithm == candidate.algorithm } && seen.insert(methods).inserted
    }
  }
}

extension ConvolutionPlan {
  /// Tiles of one to four vectors of channels by rows of pixels that divide usual images evenly or fill the registers.
  fileprivate static var candidates: [ConvolutionChoice] {
    let tiles = [(2, 14), (1, 14), (2, 7), (2, 8), (1, 16), (4, 7), (4, 4), (2, 12), (1, 8), (2, 4), (1, 28), (4, 6), (3, 8)]
    return [ConvolutionChoice(.direct)] + tiles.map { ConvolutionChoice(.direct, ["TC": $0, "TQ": $1]) }
      + [(2, 7), (1, 14), (1, 7)].map { ConvolutionChoice(.direct, ["TC": $0, "TQ": $1, "TP": 2]) }
  }
}

extension FilterGradientPlan {
  fileprivate static var candidates: [ConvolutionChoice] {
    let tiles = [(2, 8), (2, 12), (1, 16), (4, 4), (4, 6), (1, 8), (1, 12), (2, 4), (4, 3), (2, 6), (1, 3)]
    return [ConvolutionChoice(.direct)] + tiles.map { ConvolutionChoice(.direct, ["TC": $0, "TI": $1]) }
      + [2, 4, 8, 16].map { ConvolutionChoice(.direct, ["SPLITS": $0]) }
  }
}

extension WinogradPlan {
  fileprivate static func candidates(isGradient: Bool) -> [ConvolutionChoice] {
    let name = isGradient ? "TI" : "TR"
    let tiles =
      isGradient ? [(4, 4), (2, 8), (1, 16), (2, 12), (4, 6), (2, 4)] : [(2, 12), (2, 14), (1, 14), (4, 6), (2, 8), (1, 12)]
    return [0, 1].map { ConvolutionChoice(.winograd, ["STAGED": $0]) }
      + tiles.map { ConvolutionChoice(.winograd, ["TC": $0, name: $1]) }
      + (isGradient ? [8, 16, 32, 48].map { ConvolutionChoice(.winograd, ["TB": $0]) } : [])
      + [ConvolutionChoice(.winograd, ["M": 2])]
  }
}

extension BatchedPlan {
  fileprivate static func candidates(isGradient: Bool) -> [ConvolutionChoice] {
    let tiles = [(128, 128, 8, 8), (128, 64, 8, 8), (64, 128, 8, 8), (64, 64, 4, 8), (64, 64, 8, 8), (32, 32, 4, 4)]
    return [ConvolutionChoice(.batched)]
      + tiles.map { ConvolutionChoice(.batched, ["BM": $0, "BN": $1, "TM": $2, "TN": $3]) }
      + (isGradient ? [1, 4, 16, 64].map { ConvolutionChoice(.batched, ["SPLITS": $0]) } : [])
      + [ConvolutionChoice(.batched, ["M": 2])]
  }
}

extension TiledPlan {
  /// Tiles from the largest to the smallest, then other slices and numbers of splits for the built-in tile.
  fileprivate static var candidates: [ConvolutionChoice] {
    let tiles = [
      (128, 128, 8, 8), (128, 128, 4, 8), (128, 64, 8, 8), (64, 128, 8, 8), (128, 64, 8, 4), (128, 64, 4, 8), (64, 64, 4, 8),
      (64, 64, 8, 8), (64, 64, 4, 4),
      (128, 32, 8, 4), (128, 32, 8, 8), (64, 32, 4, 4), (32, 64, 4, 4), (32, 32, 4, 4), (128, 16, 8, 4),
    ].map { ConvolutionChoice(.tiled, ["BM": $0, "BN": $1, "TM": $2, "TN": $3]) }
    return [ConvolutionChoice(.tiled)] + tiles + [8, 16, 32].map { ConvolutionChoice(.tiled, ["BK": $0]) }
      + [1, 2, 4, 8, 16, 32, 64, 128].map { ConvolutionChoice(.tiled, ["SPLITS": $0]) }
  }
}
