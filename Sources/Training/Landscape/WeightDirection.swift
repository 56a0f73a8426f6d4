import Compute
import NN

/// Random direction in the space of a network's weights with filter normalization: Li, Xu, Taylor, Studer, Goldstein 2018,
/// "Visualizing the loss landscape of neural nets", section 4.
///
/// All values are normally distributed. Then each filter, and each row of the last layer that belongs to one output, is scaled
/// to the Euclidean norm of the network's own. Biases and the parameters of batch normalization do not move.
package struct WeightDirection: Sendable {
  /// Values of each parameter that moves, by its name, in the layout of ``Parameter/shape``.
  package let values: [String: [Float]]

  /// Random stream that separates directions from initial weights and other uses of a seed.
  private static let stream: UInt32 = 0x6C61_6E64

  package init(values: [String: [Float]]) { self.values = values }

  /// Draws a direction for the weights of a network.
  /// - Parameters:
  ///   - number: number of the direction, below 2^31; directions of one seed are independent.
  /// - Throws: errors of the backend.
  package init(for store: ParameterStore, seed: UInt64, number: Int) throws {
    var values: [String: [Float]] = [:]
    for (index, parameter) in store.parameters.enumerated() where Self.moves(parameter) {
      let random = Parameter.Initializer.normal(deviation: 1).values(
        count: parameter.shape.count, seed: seed, index: number << 32 | index, stream: Self.stream)
      let weights = try store.backend.download(parameter.value).floats
      values[parameter.name] = Self.scaled(random, toFiltersOf: weights, outputs: parameter.shape[parameter.shape.rank - 1])
    }
    self.values = values
  }

  private static func moves(_ parameter: Parameter) -> Bool { parameter.kind == .filter || parameter.kind == .linearWeight }

  /// Scales the filters of `values`, [..., K], to the norms of those of `weights`.
  /// - Parameter outputs: number of filters, K.
  private static func scaled(_ values: [Float], toFiltersOf weights: [Float], outputs: Int) -> [Float] {
    let (own, wanted) = (norms(values, outputs), norms(weights, outputs))
    let factors = zip(own, wanted).map { $0 > 0 ? Float($1 / $0) : 0 }
    return values.indices.map { values[$0] * factors[$0 % outputs] }
  }

  /// Euclidean norms of the filters of `values`, [..., K].
  private static func norms(_ values: [Float], _ outputs: Int) -> [Double] {
    var sums = [Double](repeating: 0, count: outputs)
    for (index, value) in values.enumerated() { sums[index % outputs] += Double(value) * Double(value) }
    return sums.map { $0.squareRoot() }
  }
}
