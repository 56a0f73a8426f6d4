import Compute

/// What identifies a network: enough to build it again.
public struct ModelConfiguration: Hashable, Codable, Sendable {
  /// `resnet20`, `plain20`, `resnet50`, …; see ``knownNames``.
  public var name: String
  /// Outputs of the last layer.
  public var classes: Int
  /// Channels of the input images.
  public var channels: Int
  /// Nil for the family's default: A for small images, B for ImageNet's and with pre-activation.
  public var shortcut: ShortcutOption?
  /// Of bottlenecks; the others have no choice.
  public var stridePlacement: StridePlacement
  /// Starts the last scale of every block at 0, so that every block starts as the identity (Goyal et al. 2017, section 5.1).
  public var zeroInitLastBatchNorm: Bool

  public init(
    name: String, classes: Int, channels: Int = 3, shortcut: ShortcutOption? = nil,
    stridePlacement: StridePlacement = .threeByThree, zeroInitLastBatchNorm: Bool = false
  ) {
    self.name = name
    self.classes = classes
    self.channels = channels
    self.shortcut = shortcut
    self.stridePlacement = stridePlacement
    self.zeroInitLastBatchNorm = zeroInitLastBatchNorm
  }

  /// What a model can be built for; the bounds keep a damaged or malicious file from asking for the absurd.
  public static let classCounts = 1...1 << 20
  /// The same for the channels of its images.
  public static let channelCounts = 1...1 << 12

  /// The image side and the class count that a model of that name is published with.
  /// - Throws: ``Failure`` for an unknown name.
  public static func usualInput(of name: String) throws -> (side: Int, classes: Int) {
    try Architecture(name: name).stem == .imageNet ? (224, 1000) : (32, 10)
  }

  /// The names in the papers; any `resnet`, `plain` and `preresnet` of 6n+2 layers for small images is accepted besides.
  public static let knownNames =
    [20, 32, 44, 56, 110, 1202].map { "resnet\($0)" } + [20, 32, 44, 56, 110].map { "plain\($0)" }
    + [18, 34, 50, 101, 152].map { "resnet\($0)" } + [18, 34].map { "plain\($0)" }
    + ["resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d", "wide_resnet50_2", "wide_resnet101_2"]
    + [110, 164, 1001].map { "preresnet\($0)" }
}

/// What a shortcut does where the shape changes (He et al. 2015, section 3.3).
public enum ShortcutOption: String, Codable, CaseIterable, Sendable {
  /// Zero channels added, no parameters.
  case padding = "A"
  /// A 1×1 convolution with batch normalisation.
  case projection = "B"
}

/// Which convolution of a bottleneck block carries the stride.
public enum StridePlacement: String, Codable, CaseIterable, Sendable {
  /// The first 1×1, as in the paper.
  case firstOneByOne = "v1"
  /// The 3×3, as in torchvision: half a point more accurate, 6 % more work.
  case threeByThree = "v1.5"
}
