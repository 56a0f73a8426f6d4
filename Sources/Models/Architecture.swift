import Compute
import Support

/// Structure of a network, as its name gives it (He et al. 2015, table 1 and section 4.2; He et al. 2016, table 2).
struct Architecture {
  enum Stem { case cifar, imageNet }
  enum Block { case basic, bottleneck }

  let stem: Stem
  let block: Block
  /// Number of blocks of each stage, and number of channels of each stage. The channels are those of the 3×3 convolutions before
  /// ``widening``, and a quarter of those of a bottleneck's result.
  let counts, widths: [Int]
  /// Factor by which a bottleneck's 3×3 convolution has more channels, and number of groups of these channels.
  let widening, groups: Int
  /// Whether the network has shortcuts; false for the plain counterparts.
  let isResidual: Bool
  /// Whether batch normalization and ReLU come before each convolution (He et al. 2016) and not after it.
  let isPreActivated: Bool

  /// - Throws: ``Failure`` for an unknown name. It mentions the nearest known name and the families.
  init(name: String) throws {
    if let variant = Self.variants.first(where: { $0.name == name }), let (block, counts) = Self.imageNet[variant.depth] {
      (stem, self.block, self.counts, widths, isResidual) = (.imageNet, block, counts, Self.imageNetWidths, true)
      (widening, groups, isPreActivated) = (variant.widening, variant.groups, false)
      return
    }
    (widening, groups) = (1, 1)
    guard let family = ["preresnet", "resnet", "plain"].first(where: name.hasPrefix),
      let depth = Int(name.dropFirst(family.count)), name == "\(family)\(depth)"
    else { throw Self.unknown(name) }

    (isResidual, isPreActivated) = (family != "plain", family == "preresnet")
    if isPreActivated, depth >= Self.firstPreActivatedBottleneck, (depth - 2) % 9 == 0, depth <= 9002 {
      let n = (depth - 2) / 9
      (stem, block, counts, widths) = (.cifar, .bottleneck, [n, n, n], [16, 32, 64])
    } else if !isPreActivated, let (block, counts) = Self.imageNet[depth] {
      guard isResidual || block == .basic else { throw Self.unknown(name) }
      (stem, self.block, self.counts, widths) = (.imageNet, block, counts, Self.imageNetWidths)
    } else {
      let n = (depth - 2) / 6
      guard depth == 6 * n + 2, (1...1000).contains(n) else { throw Self.unknown(name) }
      (stem, block, counts, widths) = (.cifar, .basic, [n, n, n], [16, 32, 64])
    }
  }

  /// Number of times that the network halves the image, rounding up. The stem of the ImageNet family halves it twice, and each
  /// stage but the first halves it once.
  var halvings: Int { counts.count - 1 + (stem == .imageNet ? 2 : 0) }

  /// Default type of the shortcuts where the shape changes.
  var usualShortcut: ShortcutOption { stem == .cifar && !isPreActivated ? .padding : .projection }

  private static let imageNet: [Int: (Block, [Int])] = [
    18: (.basic, [2, 2, 2, 2]), 34: (.basic, [3, 4, 6, 3]), 50: (.bottleneck, [3, 4, 6, 3]),
    101: (.bottleneck, [3, 4, 23, 3]), 152: (.bottleneck, [3, 8, 36, 3]),
  ]

  /// Depth from which networks of 9n+2 layers have bottlenecks. He et al. 2016 build 110 layers from basic blocks, and 164 and
  /// 1001 layers from bottlenecks.
  private static let firstPreActivatedBottleneck = 164

  private static let imageNetWidths = [64, 128, 256, 512]

  /// Variants by torchvision's names: `32x4d` means 32 groups of 4 channels in the first stage.
  private static let variants: [(name: String, depth: Int, widening: Int, groups: Int)] = [
    ("resnext50_32x4d", 50, 2, 32), ("resnext101_32x8d", 101, 4, 32), ("resnext101_64x4d", 101, 4, 64),
    ("wide_resnet50_2", 50, 2, 1), ("wide_resnet101_2", 101, 2, 1),
  ]

  /// Names from the papers, by families. Any `resnet`, `plain` and `preresnet` of 6n+2 layers for small images is accepted too.
  static let families: [[String]] = [
    [20, 32, 44, 56, 110, 1202].map { "resnet\($0)" }, [20, 32, 44, 56, 110].map { "plain\($0)" },
    [18, 34, 50, 101, 152].map { "resnet\($0)" }, [18, 34].map { "plain\($0)" }, variants.map(\.name),
    [110, 164, 1001].map { "preresnet\($0)" },
  ]

  /// Families for help texts and messages. Those of one name and many depths are shortened, for example `resnet20 … 1202`.
  static let summary = families.map { family in
    let last = family[family.count - 1]
    let depth = last.drop { !$0.isNumber }
    let hasOneName = family.allSatisfy { $0.prefix { !$0.isNumber } == last.prefix { !$0.isNumber } }
    return hasOneName && family.count > 3 ? "\(family[0]) … \(depth)" : family.joined(separator: ", ")
  }.joined(separator: ", ")

  private static func unknown(_ name: String) -> Failure {
    let hint = nearest(to: name, among: ModelConfiguration.knownNames).map { "the nearest is \($0); " } ?? ""
    return Failure(
      .invalidSetting,
      "unknown model '\(name)'; \(hint)known: \(summary), any resnetD, plainD, preresnetD (D = 6n+2)")
  }
}
