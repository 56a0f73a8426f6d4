/// A matrix product c [m,n] = a·b with k terms per sum, row-major. a is [m,k], or [k,m] if it is transposed; b is [k,n], or
/// [n,k] if it is transposed.
public struct MatrixProduct: Hashable, Sendable, CustomStringConvertible {
  /// Number of rows of c, number of columns of c, and number of terms per sum.
  public let m, n, k: Int
  /// Whether a and b are stored transposed.
  public let transposedA, transposedB: Bool

  /// Creates a product of the given sizes.
  public init(m: Int, n: Int, k: Int, transposedA: Bool = false, transposedB: Bool = false) {
    (self.m, self.n, self.k) = (m, n, k)
    (self.transposedA, self.transposedB) = (transposedA, transposedB)
  }

  /// Creates the product of two matrices from their stored shapes.
  /// - Precondition: both are matrices, and the inner sizes agree.
  public init(_ a: Shape, transposed ta: Bool, _ b: Shape, transposed tb: Bool) {
    precondition(a.rank == 2 && b.rank == 2, "[multiply] \(a) by \(b)")
    self.init(m: a[ta ? 1 : 0], n: b[tb ? 0 : 1], k: a[ta ? 0 : 1], transposedA: ta, transposedB: tb)
    precondition(b[tb ? 1 : 0] == k, "[multiply] \(a)\(ta ? "ᵀ" : "") · \(b)\(tb ? "ᵀ" : "")")
  }

  /// Sizes of a·b as they are multiplied; ᵀ marks a matrix that is stored transposed. For example `[128, 64]·[64, 10]ᵀ`.
  public var description: String { "[\(m), \(k)]\(transposedA ? "ᵀ" : "")·[\(k), \(n)]\(transposedB ? "ᵀ" : "")" }
}
