import Compute

/// A way to compute one pass of one convolution, which replaces the one that the plans would choose by themselves.
///
/// It consists of an algorithm and of the tile sizes that differ from the built-in ones, under the names that the kernels use.
/// The plans check each number where they use it, and ignore a number that does not suit. Therefore no choice, wherever it comes
/// from, can make a plan that computes something else or nothing.
public struct ConvolutionChoice: Hashable, Sendable, CustomStringConvertible {
  public enum Algorithm: String, CaseIterable, Sendable {
    /// Register tiles: `convolution.cl`, `convolution_filter_gradient.cl`.
    case direct
    /// Tiles in local memory that a work-group shares: `convolution_tiled.cl`.
    case tiled
    /// Simple loops without tiles or local memory.
    case plain
    /// Winograd's convolution with register tiles: `winograd.cl` and `winograd_staged.cl`.
    case winograd
    /// Winograd's convolution as a batch of products whose tiles work-groups share: `winograd_batched.cl`, `batched_product.cl`.
    case batched
    /// A matrix product by CLBlast, for filters of one tap.
    case product

    /// Whether images and filters are transformed, which costs digits of accuracy.
    public var isWinograd: Bool { self == .winograd || self == .batched }
  }

  public let algorithm: Algorithm
  public let numbers: [String: Int]

  package init(_ algorithm: Algorithm, _ numbers: [String: Int] = [:]) { (self.algorithm, self.numbers) = (algorithm, numbers) }

  /// Text form, for example `direct TC=2 TQ=8`, which ``init(_:)`` parses.
  public var description: String {
    ([algorithm.rawValue] + numbers.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }).joined(separator: " ")
  }

  /// Parses the text form of a choice; nil for any other text.
  public init?(_ text: String) {
    let words = text.split(separator: " ", omittingEmptySubsequences: false)
    guard let algorithm = Algorithm(rawValue: String(words[0])) else { return nil }
    var numbers: [String: Int] = [:]
    for word in words.dropFirst() {
      let parts = word.split(separator: "=", omittingEmptySubsequences: false)
      guard parts.count == 2, !parts[0].isEmpty, let number = Int(parts[1]), (0...1 << 20).contains(number),
        numbers.updateValue(number, forKey: String(parts[0])) == nil
      else { return nil }
    }
    self.init(algorithm, numbers)
  }
}

extension DeviceTraits {
  /// Returns the choice's number of that name, if there is one and it suits.
  func chosen(_ name: String, where suits: (Int) -> Bool) -> Int? {
    guard let number = choice?.numbers[name], suits(number) else { return nil }
    return number
  }

  /// Returns false if another algorithm was chosen.
  func allows(_ algorithm: ConvolutionChoice.Algorithm) -> Bool { choice.map { $0.algorithm == algorithm } ?? true }
}
