import Compute

extension Catalog {
  static var linear: [Case] {
    let products = [
      (1, 1, 1), (3, 1, 17), (1, 33, 3), (17, 3, 1), (17, 33, 1), (33, 17, 33), (3, 10, 1000), (64, 10, 64), (5, 1000, 33),
      (128, 64, 32),
    ]
    let rows = [(1, 1), (3, 17), (33, 10), (1000, 3), (17, 1000), (257, 64)]
    return products.flatMap { m, n, k in multiplications(m, n, k) } + rows.flatMap { biases($0, $1) }
  }

  /// Returns all four forms of c [m,n] = a·b with k terms per sum.
  static func multiplications(_ m: Int, _ n: Int, _ k: Int, size: Case.Size = .small) -> [Case] {
    [(false, false), (false, true), (true, false), (true, true)].map { ta, tb in
      Case(
        "multiply", "[\(m), \(k)]\(ta ? "ᵀ" : "")·[\(k), \(n)]\(tb ? "ᵀ" : "")", size: size, flops: 2 * m * n * k,
        bound: .sum(of: k),
        [
          .input("a", ta ? [k, m] : [m, k], .factors(of: [m, n])), .input("b", tb ? [n, k] : [k, n], .factors(of: [m, n])),
          .output("c", [m, n]),
        ]
      ) { try $0.multiply($1["a"], transposed: ta, $1["b"], transposed: tb, into: $1["c"]) }
    }
  }

  /// Returns cases of addBias and of sumRows, its gradient.
  static func biases(_ rows: Int, _ columns: Int, size: Case.Size = .small) -> [Case] {
    [
      Case(
        "addBias", "[\(rows), \(columns)]", size: size, flops: rows * columns, bound: .rounding(1, "one sum"),
        [.input("bias", [columns]), .updated("y", [rows, columns])]
      ) { try $0.addBias($1["bias"], to: $1["y"]) },
      Case(
        "sumRows", "[\(rows), \(columns)]", size: size, flops: rows * columns, bound: .sum(of: rows),
        [.input("x", [rows, columns], .factors(of: [columns])), .output("sum", [columns])]
      ) { try $0.sumRows($1["x"], into: $1["sum"]) },
    ]
  }
}
