import Compute
import Support

/// A check of a gradient by a property of its own, without another backend to compare with.
package struct GradientCase: Sendable {
  package let name: String
  /// Whether the check needs ``DataType/float64``, the only type in which a finite difference is meaningful.
  package let needsFloat64: Bool
  let body: @Sendable (any Backend) throws -> (error: Double, bound: Double)

  /// - Parameter factors: type to which the backend rounds the factors of convolutions.
  /// - Precondition: the backend computes in float64 if ``needsFloat64`` is true.
  package func check(on backend: any Backend, multiplying factors: DataType = .float32) throws -> Outcome {
    precondition(!needsFloat64 || backend.scalar == .float64, "[GradientCase] \(name) needs float64")
    let (error, exactBound) = try body(backend)
    let bound =
      name.hasPrefix("convolution") ? Bound(value: exactBound, reason: "").multiplying(factors).value : exactBound
    // A NaN is not within the bound either.
    let message = error <= bound ? "" : "errs by \(error); the bound is \(bound)"
    return Outcome(name: name, error: error, maximumError: error, bound: bound, message: message)
  }

  /// Returns a check of ⟨Ax, y⟩ = ⟨x, Aᵀy⟩ for a linear operation A and its gradient Aᵀ. The error is relative to
  /// ‖Ax‖‖y‖ + ‖x‖‖Aᵀy‖.
  ///
  /// The equation holds for any x and y, up to rounding: there is no step size to choose. It also holds for an operation that
  /// selects or masks by x itself (ReLU, max-pooling), since this operation is linear once the selection is made.
  /// - Parameter terms: number of terms of the longest sum in either direction.
  static func adjoint(
    _ name: String, _ x: Shape, _ y: Shape, terms: Int,
    _ apply: @escaping @Sendable (any Backend, _ x: Tensor, _ dy: Tensor) throws -> (y: Tensor, dx: Tensor)
  ) -> GradientCase {
    GradientCase(name: name, needsFloat64: false) { backend in
      var random = Philox(seed: 1, stream: 0)
      let (x, dy) = (Values.normal.make(x, &random), Values.normal.make(y, &random))
      let results = try apply(backend, backend.upload(x), backend.upload(dy))
      let (y, dx) = (try backend.download(results.y).doubles, try backend.download(results.dx).doubles)
      let (forward, backward) = (dot(y, dy.doubles), dot(x.doubles, dx))
      let scale = norm(y) * norm(dy.doubles) + norm(x.doubles) * norm(dx)
      let roundoff = backend.scalar == .float64 ? 0x1p-53 : 0x1p-24
      // The bound is that of `Bound.sum`, with a factor of four for Winograd's transforms.
      return ((forward - backward).magnitude / scale, 4 * (4 + Double(terms).squareRoot()) * roundoff)
    }
  }
}

func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
func norm(_ a: [Double]) -> Double { dot(a, a).squareRoot() }

/// A function of several tensors, with its gradients, for a check by central differences.
struct Differentiable: Sendable {
  let variables: [Operand]
  let output: Shape
  /// Weight of each output element in the scalar that is differentiated; nil for random weights.
  var weights: [Double]?
  let value: @Sendable (any Backend, [Tensor]) throws -> Tensor
  /// Returns the gradient of each variable from the gradient of the output.
  let gradient: @Sendable (any Backend, [Tensor], _ dy: Tensor) throws -> [Tensor]
}

extension GradientCase {
  private static let step = 1e-5

  /// Returns a check of the gradients against (f(v + h) − f(v − h)) / 2h for every element v of every variable. The error is
  /// relative to the variable's largest gradient.
  ///
  /// An element is skipped if its step moves any output across zero, because ReLU has a kink there. At least half of the elements
  /// must remain. The bound follows from the error of about f‴h²/6 + u|f|/h: with h = 1e−5 both terms are below 1e−9 for
  /// gradients of size one, and 1e−7 leaves room for third derivatives and values of up to a hundred.
  static func differences(_ name: String, _ function: Differentiable) -> GradientCase {
    GradientCase(name: name, needsFloat64: true) { backend in
      let values = function.variables.map { $0.contents(seed: 1).doubles }
      var random = Philox(seed: 2, stream: 0)
      let weights = function.weights ?? Values.normal.make(function.output, &random).doubles
      let tensors = try upload(values, of: function, to: backend)
      let dy = try backend.upload(HostTensor(weights, shape: function.output))
      _ = try function.value(backend, tensors)
      let gradients = try function.gradient(backend, tensors, dy).map { try backend.download($0).doubles }
      let errors = try gradients.indices.map { variable in
        try error(of: gradients[variable], variable, values, weights, function, backend)
      }
      return (errors.contains { $0.isNaN } ? .nan : errors.max() ?? .nan, 1e-7)
    }
  }

  private static func upload(
    _ values: [[Double]], of function: Differentiable, to backend: any Backend
  ) throws -> [Tensor] {
    try zip(values, function.variables).map { try backend.upload(HostTensor($0, shape: $1.shape)) }
  }

  private static func error(
    of gradient: [Double], _ variable: Int, _ values: [[Double]], _ weights: [Double], _ function: Differentiable,
    _ backend: any Backend
  ) throws -> Double {
    var (largest, compared) = (0.0, 0)
    for i in gradient.indices {
      let sides = try [step, -step].map { step in
        var moved = values
        moved[variable][i] += step
        return try backend.download(function.value(backend, upload(moved, of: function, to: backend))).doubles
      }
      if zip(sides[0], sides[1]).contains(where: { ($0 > 0) != ($1 > 0) }) { continue }
      let difference = (dot(sides[0], weights) - dot(sides[1], weights)) / (2 * step)
      let distance = (difference - gradient[i]).magnitude
      if distance.isNaN { return .nan }
      (largest, compared) = (max(largest, distance), compared + 1)
    }
    return compared * 2 < gradient.count ? .nan : largest / (gradient.map(\.magnitude).max() ?? 0)
  }
}
