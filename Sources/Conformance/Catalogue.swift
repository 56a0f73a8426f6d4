import Compute

/// The cases that every backend must pass.
public enum Catalogue {
  /// ``small``, then ``real(batch:)`` of a small batch, of two cases with one name the first; then ``half``.
  public static var all: [Case] {
    var names: Set<String> = []
    return (small + real(batch: 2)).filter { names.insert($0.name).inserted } + half
  }

  /// The small cases with activations of 16 bits, which backends need not take, in the two types by turns.
  public static var half: [Case] {
    small.enumerated().compactMap { index, subject in subject.stored(as: turn(index, of: 2) == 0 ? .float16 : .bfloat16) }
  }

  /// One of every `count` cases, for what would take too long on all of them.
  /// - Parameter first: which ones, 0 ..< count; another for each device makes the most of them.
  public static func sample(_ cases: [Case], oneOf count: Int, from first: Int = 0) -> [Case] {
    cases.enumerated().filter { turn($0.offset, of: count) == first }.map(\.element)
  }

  /// Turns by which neighbours differ, and so do the same passes of neighbouring convolutions, of which each has four.
  static func turn(_ index: Int, of count: Int) -> Int { (index + index / 4) % count }

  /// Every operation on odd shapes and edge cases, seconds on the CPU reference.
  public static var small: [Case] {
    memory + convolution + batchNorm + pooling + linear + elementwise + loss + optimiser + gatherBatch
  }

  /// The layers of the published networks.
  ///
  /// - Parameter batch: images a batch for the networks of 32² images; those of 224² get an eighth, at least one.
  public static func real(batch: Int) -> [Case] {
    precondition(batch > 0, "[Catalogue] a batch of \(batch)")
    return RealShapes(batch: batch).cases
  }

  /// The first of each, in order.
  static func distinct<Element: Hashable>(_ elements: [Element]) -> [Element] {
    var seen: Set<Element> = []
    return elements.filter { seen.insert($0).inserted }
  }
}
