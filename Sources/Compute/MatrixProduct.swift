/// c [m,n] = a·b over k terms, row-major: a is [m,k], or [k,m] where it is transposed; b is [k,n], or [n,k].
public struct MatrixProduct: Hashable, Sendable, CustomStringConvertible {
  /// Rows and columns of c, and the terms of each sum.
  public let m, n, k: Int
  /// Whether a and b lie transposed.
  public let transposedA, transposedB: Bool

  /// Of these sizes.
  public init(m: Int, n: Int, k: Int, transposedA: Bool = false, transposedB: Bool = false) {
    (self.m, self.n, self.k) = (m, n, k)
    (self.transposedA, self.transposedB) = (transposedA, transposedB)
  }

  /// - Precondition: both are matrices, and the inner sizes agree.
  public init(_ a: Shape, transposed ta: Bool, _ b: Shape, transposed tb: Bool) {
    precondition(a.rank == 2 && b.rank == 2, "[multiply] \(a) by \(b)")
    self.init(m: a[ta ? 1 : 0], n: b[tb ? 0 : 1], k: a[ta ? 0 : 1], transposedA: ta, transposedB: tb)
    precondition(b[tb ? 1 : 0] == k, "[multiply] \(a)\(ta ? "ᵀ" : "") · \(b)\(tb ? "ᵀ" : "")")
  }

  /// The sizes of a·b as they are multiplied, for example `[128, 64]·[64, 10]ᵀ`.
  public var description: String { "[\(m), \(k)]\(transposedA ? "ᵀ" : "")·[\(k), \(n)]\(transposedB ? "ᵀ" : "")" }
}
