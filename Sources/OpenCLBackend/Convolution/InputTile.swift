/// Part of an input that a register-tiled kernel keeps in local memory, with zeros for the border (`strip.h`).
struct InputTile {
  /// Sampling step: the stride if a filter of one tap meets only every stride-th pixel; otherwise 1.
  let sample: Int
  /// Terms between neighboring pixels.
  let pitch: Int
  /// Factors between neighboring rows.
  let row: Int
  /// Rows of the input tile between neighboring output rows, and rows of the filter.
  private let step, filterRows: Int

  /// - Parameters:
  ///   - tileStep: distance in input pixels between those that a tile reads at a time.
  ///   - terms: number of channels in a factor.
  init(_ problem: ConvolutionProblem, tileStep: Int, terms: Int = 1) {
    sample = problem.r == 1 && problem.s == 1 ? problem.stride : 1
    step = problem.stride / sample
    filterRows = problem.r
    // Pixels at a distance of a large power of two would all compete for the same few lines of the L1 cache.
    let distance = tileStep / sample * problem.c * 4 / terms
    // Tiles begin with whole factors.
    let least = step * problem.c % terms == 0 ? problem.c : problem.c + 1
    pitch = distance >= 1024 && distance % 256 == 0 ? problem.c + 16 * terms : least
    row = (((problem.q - 1) * step + problem.s) * pitch + terms - 1) / terms
  }

  /// Returns the bytes of an input tile for `rows` output rows.
  func byteCount(rows: Int) -> Int { ((rows - 1) * step + filterRows) * row * 4 }
}
