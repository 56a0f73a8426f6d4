import Compute

/// Moments of a few channels of a tensor [..., C], computed in double precision on the host.
struct SampledMoments {
  /// Number of values of a channel.
  private let rows: Int
  /// Channels with their means and variances.
  private let channels: [(channel: Int, mean: Double, variance: Double)]

  /// Reads the tensor in pieces, so that the host needs little memory.
  init(of y: Tensor, on backend: OpenCLBackend) throws {
    let depth = y.shape[y.shape.rank - 1]
    let chosen = Set([0, depth / 2, depth - 1]).sorted()
    rows = y.count / depth
    // A number of rows that ends where a slice may begin.
    let piece = 16 * backend.alignment
    var sums = chosen.map { _ in (values: 0.0, squares: 0.0) }
    for first in stride(from: 0, to: rows, by: piece) {
      let count = min(piece, rows - first)
      let bytes = depth * y.type.byteCount
      let values = try backend.download(backend.slice(y, from: first * bytes, byteCount: count * bytes)).floats
      for (index, channel) in chosen.enumerated() {
        for row in 0..<count {
          let value = Double(values[row * depth + channel])
          sums[index].values += value
          sums[index].squares += value * value
        }
      }
    }
    let total = Double(rows)
    channels = zip(chosen, sums).map { channel, sum in
      let mean = sum.values / total
      return (channel, mean, max(0, sum.squares / total - mean * mean))
    }
  }

  /// Returns a description of the error in moments of chunks of rows; nil if they are correct.
  /// - Parameters:
  ///   - moments: mean, Σ(x−mean)² and number of rows of each chunk, [chunks,3,C], as kernels write them (`moments.h`).
  ///   - bound: bound of the error of a sum over all rows, relative to the size of the values.
  func complaint(_ moments: HostTensor, _ bound: Bound) -> String? {
    let (values, chunks, depth) = (moments.floats, moments.shape[0], moments.shape[2])
    for (channel, mean, variance) in channels {
      let parts = (0..<chunks).map { chunk in
        let at = { (figure: Int) in Double(values[(chunk * 3 + figure) * depth + channel]) }
        return (mean: at(0), squares: at(1), rows: at(2))
      }
      let count = parts.reduce(0) { $0 + $1.rows }
      if count != Double(rows) { return "statistics of channel \(channel) are those of \(count) values, not \(rows)" }
      let merged = parts.reduce(0) { $0 + $1.mean * $1.rows } / count
      let squares = parts.reduce(0) { $0 + $1.squares + ($1.mean - merged) * ($1.mean - merged) * $1.rows }
      let size = (mean * mean + variance).squareRoot()
      let allowed = 4 * bound.value * size
      // A comparison with a NaN is false.
      let isRight =
        (merged - mean).magnitude <= allowed && (squares / count - variance).magnitude <= allowed * variance.squareRoot()
      if !isRight {
        return "mean \(merged) and variance \(squares / count) of channel \(channel) are not \(mean) and \(variance)"
      }
    }
    return nil
  }
}
