import Compute

/// Cases that every backend must pass.
package enum Catalog {
  /// All cases: ``small``, then ``real(batch:)`` with a small batch, then ``half``. Of two cases with the same name in the first
  /// two lists, only the first is kept.
  package static var all: [Case] {
    var names: Set<String> = []
    return (small + real(batch: 2)).filter { names.insert($0.name).inserted } + half
  }

  /// Small cases with 16-bit activations, which backends need not support. The cases alternate between the two types.
  package static var half: [Case] {
    small.enumerated().compactMap { index, subject in subject.stored(as: turn(index, of: 2) == 0 ? .float16 : .bfloat16) }
  }

  /// Returns one of every `count` cases, for checks that would take too long on all of them.
  /// - Parameter first: selects the cases, 0 ..< count. A different value for each device covers the most cases.
  package static func sample(_ cases: [Case], oneOf count: Int, from first: Int = 0) -> [Case] {
    cases.enumerated().filter { turn($0.offset, of: count) == first }.map(\.element)
  }

  /// Returns a turn in 0 ..< count. Neighboring cases differ in it, and so do the same passes of neighboring convolutions, which
  /// have four cases each.
  static func turn(_ index: Int, of count: Int) -> Int { (index + index / 4) % count }

  /// Cases for every operation on odd shapes and for edge cases. They take seconds on the CPU reference.
  package static var small: [Case] {
    memory + convolution + batchNorm + pooling + linear + elementwise + loss + optimizer + guards + gatherBatch
  }

  /// Returns cases for the layers of the published networks.
  ///
  /// - Parameter batch: batch size of the networks for 32² images. Networks for 224² images get an eighth of it, at least one.
  package static func real(batch: Int) -> [Case] {
    precondition(batch > 0, "[Catalog] a batch of \(batch)")
    return RealShapes(batch: batch).cases
  }

  /// Removes duplicates; keeps the first of equal elements, in order.
  static func distinct<Element: Hashable>(_ elements: [Element]) -> [Element] {
    var seen: Set<Element> = []
    return elements.filter { seen.insert($0).inserted }
  }
}
