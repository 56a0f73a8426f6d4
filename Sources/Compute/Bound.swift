/// Largest allowed distance of a result from the reference, as ‖a−b‖₂ / ‖b‖₂, and its reason.
///
/// In addition, no element may err by more than four times the bound, relative to the largest element.
package struct Bound: Hashable, Sendable {
  package let value: Double
  package let reason: String

  package init(value: Double, reason: String) { (self.value, self.reason) = (value, reason) }

  /// Unit roundoff u of float32.
  package static let roundoff = 0x1p-24

  package static let exact = Bound(value: 0, reason: "no rounding: the operation moves, compares or sets values")

  /// Returns the bound for a result that is stored in a 16-bit type. A result that is rounded at all gets twice the type's unit
  /// roundoff in addition. One of the two is for the result itself. The other is for means: the mean of n stored values of either
  /// sign is about 1/√n as large as they are, and it errs by 1/√n of their rounding errors.
  package func storing(as type: DataType) -> Bound {
    if type == .float32 || value == 0 { return self }
    return Bound(value: value + 2 * type.roundoff, reason: "\(reason), and 2 u of \(type)")
  }

  /// Returns the bound for a sum of products whose factors are rounded to another type, with unit roundoff u. No product errs by
  /// more than 2 u. Random products, whose factors err by at most u/√3 in the root mean square, err by √⅔ u, and so does
  /// their sum, in norm, whatever its length.
  ///
  /// Winograd's transforms increase this error to 5/3 of it with tiles of 2×2, the only tiles for such factors. An output is
  /// then a sum of nine products whose variance is 25 times that of one term of the direct sum, while the direct sum has nine
  /// terms.
  package func multiplying(_ type: DataType) -> Bound {
    if type.roundoff <= Self.roundoff { return self }
    return Bound(
      value: value + 10 / 3 * type.roundoff, reason: "\(reason), and 2 u of \(type) for factors, 5/3 of it with transforms")
  }

  /// Returns the bound for a result of a few operations.
  package static func rounding(_ operations: Double, _ reason: String) -> Bound {
    Bound(value: operations * roundoff, reason: "\(operations) u: \(reason)")
  }

  /// Returns the bound for a float32 sum of `terms` values in any order. Rounding errors of random sign add up to about
  /// u·√terms (Higham & Mary, "A new approach to probabilistic rounding error analysis", 2019); 4 u are for the operations
  /// around the sum.
  package static func sum(of terms: Int, amplified factor: Double = 1, _ reason: String = "") -> Bound {
    let suffix = reason.isEmpty ? "" : "; \(reason)"
    return Bound(
      value: factor * (4 + Double(terms).squareRoot()) * roundoff,
      reason: "\(factor == 1 ? "" : "\(factor) ")(4 + √n) u for a sum of n = \(terms) terms\(suffix)")
  }

  /// Returns the bound for a variance that is computed in two passes or by merging partial ones. Such a variance errs by about κ
  /// roundoffs, where κ is the mean over the deviation; E[x²] − E[x]² errs by κ² (Chan, Golub & LeVeque, "Algorithms for
  /// computing the sample variance", 1983).
  package static func variance(of terms: Int, condition: Double) -> Bound {
    let sum = Bound.sum(of: terms)
    return Bound(value: sum.value + condition * roundoff, reason: "\(sum.reason) and κ = \(condition)")
  }
}

extension Bound {
  /// Returns the bound of the error of a convolution pass.
  /// - Parameter winograd: whether the pass may use Winograd's transforms. Those of F(4×4,3×3) amplify rounding errors by about
  ///   four (Barabasz et al., "Error analysis and improving the accuracy of Winograd convolution for deep neural networks",
  ///   2020).
  package static func convolution(_ work: ConvolutionWork, winograd: Bool) -> Bound {
    let g = work.geometry
    let terms =
      switch work.pass {
      case .forward, .inference: g.r * g.s * g.groupC
      case .forwardWithStatistics: g.r * g.s * g.groupC + g.n * g.p * g.q
      case .inputGradient: g.r * g.s * g.groupK
      case .filterGradient: g.n * g.p * g.q
      }
    let sum = winograd ? sum(of: terms, amplified: 4, "Winograd's transforms amplify by about 4") : sum(of: terms)
    return work.pass == .filterGradient ? sum : sum.storing(as: work.storage)
  }
}
