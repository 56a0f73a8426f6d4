import Compute

/// A way to compute one pass of one convolution, which replaces the one that the plans would choose by themselves: an algorithm,
/// and the sizes that differ from the built-in ones.
public struct ConvolutionChoice: Hashable, Sendable, CustomStringConvertible {
  let algorithm: any ConvolutionAlgorithm

  init(_ algorithm: any ConvolutionAlgorithm) { self.algorithm = algorithm }

  /// Names of all algorithms.
  public static var algorithmNames: [String] { ConvolutionAlgorithms.all.map { $0.name } }

  /// Name of the algorithm, for example `direct`.
  public var algorithmName: String { type(of: algorithm).name }

  /// Whether images and filters are transformed, which costs digits of accuracy.
  public var transforms: Bool { type(of: algorithm).transforms }

  /// Text form, for example `direct TC=2 TQ=8`, which ``init(_:)`` parses.
  public var description: String {
    ([algorithmName] + algorithm.chosenSizes.sorted { $0.name < $1.name }.map { "\($0.name)=\($0.size)" }).joined(separator: " ")
  }

  /// Parses the text form of a choice; nil for any other text.
  public init?(_ text: String) {
    let words = text.split(separator: " ", omittingEmptySubsequences: false)
    guard let type = ConvolutionAlgorithms.all.first(where: { $0.name == words[0] }),
      let algorithm = type.parse(words.dropFirst())
    else { return nil }
    self.init(algorithm)
  }

  public static func == (a: Self, b: Self) -> Bool { AnyHashable(a.algorithm) == AnyHashable(b.algorithm) }

  public func hash(into hasher: inout Hasher) { algorithm.hash(into: &hasher) }
}

extension ConvolutionAlgorithm {
  fileprivate var chosenSizes: [(name: String, size: Int)] {
    Self.sizes.compactMap { name, path in self[keyPath: path].map { (name, $0) } }
  }

  /// Parses sizes such as `TC=2`.
  /// - Returns: nil for a size that the algorithm does not have, for a size that is given twice, and for any other text.
  fileprivate static func parse(_ words: [Substring].SubSequence) -> Self? {
    var (algorithm, known) = (Self(), sizes)
    for word in words {
      let parts = word.split(separator: "=", omittingEmptySubsequences: false)
      guard parts.count == 2, let path = known.removeValue(forKey: String(parts[0])), let size = Int(parts[1]),
        (0...1 << 20).contains(size)
      else { return nil }
      algorithm[keyPath: path] = size
    }
    return algorithm
  }
}
