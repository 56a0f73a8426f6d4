import Compute

/// The shape of a network, as its name gives it (He et al. 2015, table 1 and section 4.2).
struct Architecture {
  enum Stem { case cifar, imageNet }
  enum Block { case basic, bottleneck }

  let stem: Stem
  let block: Block
  /// Blocks of each stage, and the channels of their 3×3 convolutions.
  let counts, widths: [Int]
  /// False for the plain twins.
  let isResidual: Bool

  /// - Throws: ``Failure`` for an unknown name, listing the known ones, the nearest spelling first.
  init(name: String) throws {
    guard let family = ["resnet", "plain"].first(where: name.hasPrefix),
      let depth = Int(name.dropFirst(family.count)), name == "\(family)\(depth)"
    else { throw Self.unknown(name) }

    isResidual = family == "resnet"
    if let (block, counts) = Self.imageNet[depth] {
      guard isResidual || block == .basic else { throw Self.unknown(name) }
      (stem, self.block, self.counts, widths) = (.imageNet, block, counts, [64, 128, 256, 512])
    } else {
      let n = (depth - 2) / 6
      guard depth == 6 * n + 2, (1...1000).contains(n) else { throw Self.unknown(name) }
      (stem, block, counts, widths) = (.cifar, .basic, [n, n, n], [16, 32, 64])
    }
  }

  private static let imageNet: [Int: (Block, [Int])] = [
    18: (.basic, [2, 2, 2, 2]), 34: (.basic, [3, 4, 6, 3]), 50: (.bottleneck, [3, 4, 6, 3]),
    101: (.bottleneck, [3, 4, 23, 3]), 152: (.bottleneck, [3, 8, 36, 3]),
  ]

  private static func unknown(_ name: String) -> Failure {
    let known = ModelConfiguration.knownNames
      .map { (distance: editDistance(name, $0), name: $0) }
      .enumerated().sorted { ($0.element.distance, $0.offset) < ($1.element.distance, $1.offset) }
      .map(\.element.name)
    return Failure(
      "unknown model '\(name)'; known are \(known.joined(separator: ", ")), and resnetD and plainD of any depth D = 6n+2")
  }

  /// Levenshtein's distance: the fewest insertions, deletions and substitutions.
  private static func editDistance(_ a: String, _ b: String) -> Int {
    let b = Array(b)
    var row = Array(0...b.count)
    for (i, x) in a.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, y) in b.enumerated() {
        let substituted = diagonal + (x == y ? 0 : 1)
        diagonal = row[j + 1]
        row[j + 1] = min(substituted, row[j] + 1, diagonal + 1)
      }
    }
    return row[b.count]
  }
}
