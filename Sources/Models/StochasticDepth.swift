import NN
import Support

/// Stochastic depth (Huang, Sun, Liu, Sedra & Weinberger 2016, "Deep networks with stochastic depth"): in training, each batch
/// passes by some of the residual blocks, through their shortcuts alone. A block that is skipped costs nothing, forward and
/// backward.
///
/// With L blocks, block l stays with the probability p_l = 1 − l/L·(1 − p_L), so the first blocks are skipped least. In
/// evaluation, all blocks are used, and the branch of each is multiplied by its p_l; see ``ExpectedNetwork``. Training therefore
/// needs no factors. Blocks that are frozen as a whole are never skipped.
///
/// ```swift
/// let depth = try StochasticDepth(session.network, dropProbability: 0.5)
/// print(depth.survival, depth.skipped(seed: 1, epoch: 0, batch: 3))
/// ```
public struct StochasticDepth: Hashable, Sendable {
  /// Probability with which each block stays, in the order of the blocks.
  public let survival: [Double]

  private static let stream: UInt32 = 0x0D00_0008

  /// - Parameter dropProbability: probability with which the last block is skipped, 1 − p_L, in 0 ..< 1.
  /// - Precondition: the network has shortcuts, and its layers are frozen already, as far as they are to be.
  /// - Throws: never for a network whose blocks have parameters.
  public init(_ model: ResNet, dropProbability: Double) throws {
    precondition((0..<1).contains(dropProbability) && model.architecture.isResidual, "[StochasticDepth] \(dropProbability)")
    let count = Double(model.blocks.count)
    survival = try model.blocks.enumerated().map { index, block in
      let isFrozen = try model.store.layers(block.name).allSatisfy(\.isFrozen)
      return isFrozen ? 1 : 1 - Double(index + 1) * dropProbability / count
    }
  }

  /// Returns the indices of the blocks that a batch passes by: a function of the arguments.
  /// - Parameter batch: number of the batch in its epoch.
  public func skipped(seed: UInt64, epoch: Int, batch: Int) -> Set<Int> {
    var random = Philox(seed: seed, stream: Self.stream, epoch: epoch, sample: batch)
    // A number is drawn for every block, so that a probability does not affect the other blocks.
    let draws = survival.map { _ in Double(random.uniform()) }
    return Set(survival.indices.filter { draws[$0] >= survival[$0] })
  }

  /// The draw with the fewest blocks: all that may be skipped are.
  var fewest: Set<Int> { Set(survival.indices.filter { survival[$0] < 1 }) }
}
