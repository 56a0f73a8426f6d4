import Compute
import Glibc
import Support

extension Parameter.Initializer {
  /// Returns the distribution of He et al. 2015 ("Delving deep into rectifiers"), in the form that torchvision uses: deviation
  /// √(2/fan_out), fan_out = K·R·S.
  public static func he(filter: Shape) -> Self {
    .normal(deviation: (2 / Double(filter[3] * filter[0] * filter[1])).squareRoot())
  }

  /// Random stream that separates the initial values from other uses of the seed.
  package static let stream: UInt32 = 0x696E_6974

  /// Returns the values of the entry at `index`, a pure function of the arguments.
  /// - Parameter stream: random stream; by default that of initial values.
  package func values(count: Int, seed: UInt64, index: Int, stream: UInt32 = Self.stream) -> [Float] {
    var random = Philox(seed: seed, stream: stream, index: UInt64(index))
    switch self {
    case .constant(let value):
      return [Float](repeating: Float(value), count: count)
    case .uniform(let bound):
      return (0..<count).map { _ in Float(bound * (2 * Double(random.uniform()) - 1)) }
    case .normal(let deviation):
      return normals(count: count, deviation: deviation, &random)
    }
  }

  /// Draws normal numbers by Box and Muller 1958: two independent normals from two uniforms, √(−2·ln u)·(cos, sin)(2π·v).
  private func normals(count: Int, deviation: Double, _ random: inout Philox) -> [Float] {
    var values: [Float] = []
    values.reserveCapacity(count + 1)
    while values.count < count {
      let bits = random.next()
      let u = (Double(bits >> 32) + 0.5) * 0x1p-32
      let angle = 2 * Double.pi * Double(bits & 0xFFFF_FFFF) * 0x1p-32
      let radius = deviation * (-2 * log(u)).squareRoot()
      values.append(Float(radius * cos(angle)))
      values.append(Float(radius * sin(angle)))
    }
    if values.count > count { values.removeLast() }
    return values
  }
}
