import Compute

/// Identity of a network: everything that is needed to build it again.
///
/// ```swift
/// let photographs = ModelConfiguration(name: "resnet50", classes: 1000)
/// let digits = ModelConfiguration(name: "resnet20", classes: 10, channels: 1)
/// ```
public struct ModelConfiguration: Hashable, Codable, Sendable {
  /// Name of the network: `resnet20`, `plain20`, `resnet50`, …; see ``knownNames``.
  public var name: String
  /// Number of outputs of the last layer.
  public var classes: Int
  /// Number of channels of the input images.
  public var channels: Int
  /// Type of the shortcuts. nil means the family's default: A for small images, B for ImageNet networks and with pre-activation.
  public var shortcut: ShortcutOption?
  /// Placement of the stride in bottlenecks; other blocks have no choice.
  public var stridePlacement: StridePlacement
  /// Whether the last scale of every block starts at 0, so that every block starts as the identity (Goyal et al. 2017, section
  /// 5.1).
  public var zeroInitLastBatchNorm: Bool
  /// Normalization after each convolution.
  public var normalization: BlockNormalization

  public init(
    name: String, classes: Int, channels: Int = 3, shortcut: ShortcutOption? = nil,
    stridePlacement: StridePlacement = .threeByThree, zeroInitLastBatchNorm: Bool = false,
    normalization: BlockNormalization = .batch
  ) {
    self.name = name
    self.classes = classes
    self.channels = channels
    self.shortcut = shortcut
    self.stridePlacement = stridePlacement
    self.zeroInitLastBatchNorm = zeroInitLastBatchNorm
    self.normalization = normalization
  }

  /// Returns whether the network has shortcuts.
  /// - Throws: ``Failure`` for an unknown name.
  public func hasShortcuts() throws -> Bool { try Architecture(name: name).isResidual }

  /// Returns the number of pixels along a side of the image for one pixel of the last stage: 4 for small images, 32 for ImageNet.
  /// - Throws: ``Failure`` for an unknown name.
  public func reduction() throws -> Int { 1 << (try Architecture(name: name).halvings) }

  /// Numbers of classes that a model can have. The bounds keep a damaged or malicious file from requesting absurd sizes.
  public static let classCounts = 1...1 << 20
  /// Numbers of image channels that a model can have, bounded for the same reason.
  public static let channelCounts = 1...1 << 12
  /// Heights and widths of images that networks can take, in pixels, bounded for the same reason.
  public static let imageSides = 1...1 << 14

  /// Returns the image side and the number of classes with which a model of this name is published.
  /// - Throws: ``Failure`` for an unknown name.
  public static func usualInput(of name: String) throws -> (side: Int, classes: Int) {
    try Architecture(name: name).stem == .imageNet ? (224, 1000) : (32, 10)
  }

  /// Names from the papers. Any `resnet`, `plain` and `preresnet` of 6n+2 layers for small images is accepted too.
  public static let knownNames = Architecture.families.flatMap(\.self)

  /// The known names for help texts; families with many depths are shortened.
  package static let summaryOfNames = Architecture.summary
}

/// Type of the shortcuts (He et al. 2015, sections 3.3 and 4.1).
///
/// ```swift
/// let network = ModelConfiguration(name: "resnet20", classes: 10, shortcut: .projection)
/// ```
public enum ShortcutOption: String, Codable, CaseIterable, Sendable {
  /// Padding with zero channels where the shape changes, without parameters; otherwise the identity.
  case padding = "A"
  /// A 1×1 convolution with batch normalization where the shape changes; otherwise the identity.
  case projection = "B"
  /// A 1×1 convolution with batch normalization in every block.
  case projectionEverywhere = "C"
}

/// Choice of the normalization after each convolution.
///
/// ```swift
/// let network = ModelConfiguration(name: "plain20", classes: 10, normalization: .none)
/// ```
public enum BlockNormalization: String, Codable, CaseIterable, Sendable {
  /// Batch normalization (Ioffe & Szegedy 2015).
  case batch
  /// A bias and no normalization, as networks had before.
  case none
}

/// Choice of the convolution of a bottleneck block that carries the stride.
///
/// ```swift
/// let network = ModelConfiguration(name: "resnet50", classes: 1000, stridePlacement: .firstOneByOne)
/// ```
public enum StridePlacement: String, Codable, CaseIterable, Sendable {
  /// The first 1×1 convolution, as in the paper.
  case firstOneByOne = "v1"
  /// The 3×3 convolution, as in torchvision: half a point more accurate, 6 % more work.
  case threeByThree = "v1.5"
}
