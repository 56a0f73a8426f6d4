import Compute
import NN
import Support

/// Residual networks and their plain counterparts: He, Zhang, Ren, Sun 2015, "Deep residual learning for image recognition".
///
/// A network for small images (6n+2 layers) has a 3×3 convolution and three stages of n blocks with 16, 32 and 64 channels. A
/// network for ImageNet has a 7×7 convolution of stride 2, a max-pool, and four stages of basic or bottleneck blocks with 64 …
/// 512 channels. Each stage but the first halves the image. The mean over the pixels and one linear layer follow. Parameters have
/// torchvision's names.
///
/// With pre-activation, batch normalization and ReLU come before the convolutions (He, Zhang, Ren, Sun 2016, "Identity mappings
/// in deep residual networks"), and once more, as `bn`, before the mean.
///
/// Two related families have bottlenecks of another shape, under torchvision's names: ResNeXt, whose 3×3 convolutions are
/// grouped (Xie et al. 2017), and wide networks (Zagoruyko and Komodakis 2016).
///
/// ```swift
/// let network = try ResNet(ModelConfiguration(name: "resnet20", classes: 10))
/// try network.store.allocate(on: backend, seed: 1)
/// let images = try backend.batchTensor([8, 32, 32, 3])
/// try backend.fill(images, with: 0)
/// let logits = try network(Variable(images), Pass(on: backend, mode: .inference))
/// ```
public struct ResNet {
  /// Configuration from which the network is built.
  public let configuration: ModelConfiguration
  /// Weights and running statistics.
  public let store: ParameterStore
  let architecture: Architecture
  let stem: Stem
  let blocks: [any Block]
  /// Number of residual blocks, or of plain ones.
  package var blockCount: Int { blocks.count }
  /// Batch normalization before the mean over the pixels; only with pre-activation.
  let lastNorm: BatchNormLayer?
  let head: LinearLayer

  enum Stem {
    case unit(ConvolutionUnit)
    /// A convolution alone, with pre-activation: the first block normalizes.
    case convolution(Conv2DLayer)
  }

  /// Declares the parameters in a new store. Allocate the store before the first pass.
  /// - Throws: ``Failure`` for an unknown name, for counts out of range, and for options that do not apply to the network.
  public init(_ configuration: ModelConfiguration) throws {
    try Self.check(configuration)
    let architecture = try Architecture(name: configuration.name)
    try Self.check(configuration, architecture)
    self.configuration = configuration
    self.architecture = architecture
    store = ParameterStore()
    let root = store.root

    let isCIFAR = architecture.stem == .cifar
    let (inputs, outputs) = (configuration.channels, architecture.widths[0])
    let (window, stride) = isCIFAR ? (3, 1) : (7, 2)
    let norm = configuration.normalization == .batch ? root / "bn1" : nil
    stem =
      architecture.isPreActivated
      ? .convolution(Conv2DLayer(root / "conv1", inputs: inputs, outputs: outputs, window: window, stride: stride))
      : .unit(ConvolutionUnit(root / "conv1", norm, inputs: inputs, outputs: outputs, window: window, stride: stride))

    var plan = ResidualBlock.Plan(
      kind: architecture.block, width: 0, outputs: 0, groups: architecture.groups, inputs: architecture.widths[0], stride: 1,
      shortcut: architecture.isResidual ? configuration.shortcut ?? architecture.usualShortcut : nil,
      stridePlacement: configuration.stridePlacement, lastScale: configuration.zeroInitLastBatchNorm ? 0 : 1,
      normalization: configuration.normalization)
    var blocks: [any Block] = []
    for (stage, (count, width)) in zip(architecture.counts, architecture.widths).enumerated() {
      plan.width = width * architecture.widening
      plan.outputs = architecture.block == .basic ? width : 4 * width
      for index in 0..<count {
        plan.stride = stage > 0 && index == 0 ? 2 : 1
        let scope = root / "layer\(stage + 1)" / "\(index)"
        blocks.append(architecture.isPreActivated ? PreActivationBlock(scope, plan) : ResidualBlock(scope, plan))
        plan.inputs = plan.outputs
      }
    }
    self.blocks = blocks
    lastNorm = architecture.isPreActivated ? BatchNormLayer(root / "bn", channels: plan.outputs) : nil
    head = LinearLayer(root / "fc", inputs: plan.outputs, outputs: configuration.classes)
  }

  /// Computes the logits [N,classes] of images [N,H,W,C].
  /// - Parameters:
  ///   - recompute: activation checkpointing. Only the activations between a few parts of the network are kept; the backward pass
  ///     recomputes the rest. This gives the same gradients with much less memory, and takes at most the time of one more forward
  ///     pass.
  ///   - skipped: indices of the blocks that the batch passes by; see ``StochasticDepth``.
  /// - Throws: ``Failure`` for images with another number of channels, and for too few or too small images in training; errors of
  ///   the backend.
  public func callAsFunction(
    _ images: Variable, _ pass: Pass, recompute: Bool = false, skipping skipped: Set<Int> = []
  ) throws -> Variable {
    try head(try features(of: images, pass, recompute: recompute, skipping: skipped), pass)
  }

  /// Number of values that stand before the last layer, F.
  public var featureCount: Int { head.weight.shape[0] }

  /// Computes what stands before the last layer: the means over the pixels [N,F] of images [N,H,W,C].
  /// - Parameters:
  ///   - recompute: as in ``callAsFunction(_:_:recompute:skipping:)``.
  ///   - skipped: as there.
  /// - Throws: as ``callAsFunction(_:_:recompute:skipping:)``.
  public func features(
    of images: Variable, _ pass: Pass, recompute: Bool = false, skipping skipped: Set<Int> = []
  ) throws -> Variable {
    try mean(
      ofLastStage: try lastStage(of: images, pass, recompute: recompute, skipping: skipped), overwriting: true, pass)
  }

  /// Computes the activations of the last stage, [N,h,w,F], of images [N,H,W,C].
  /// - Parameters:
  ///   - recompute: as in ``callAsFunction(_:_:recompute:skipping:)``.
  ///   - skipped: as there.
  /// - Throws: as ``callAsFunction(_:_:recompute:skipping:)``.
  func lastStage(
    of images: Variable, _ pass: Pass, recompute: Bool = false, skipping skipped: Set<Int> = []
  ) throws -> Variable {
    try check(images.shape, pass.mode)
    var x = images
    for part in parts(skipping: skipped) { x = try recompute ? pass.recomputing(x, part) : part(x, pass) }
    return x
  }

  /// Computes the logits [N,classes] from the activations of the last stage, [N,h,w,F], which stay as they are.
  func logits(ofLastStage x: Variable, _ pass: Pass) throws -> Variable {
    try head(try mean(ofLastStage: x, overwriting: false, pass), pass)
  }

  /// - Parameter overwriting: whether the memory of x may be reused.
  private func mean(ofLastStage x: Variable, overwriting: Bool, _ pass: Pass) throws -> Variable {
    let last = try lastNorm.map { try $0(x, relu: true, overwritingInput: overwriting, pass) } ?? x
    return try pass.layer("avgpool") { try pass.globalAveragePool(last) }
  }

  /// Parts of the network up to the mean over the pixels: the beginning, and runs of blocks. Each part is recomputed as a whole.
  ///
  /// With runs of k of the n blocks, n/k results are kept, and about 4k activations while a run is recomputed. The sum is
  /// smallest for a k of the order of √n (Chen et al. 2016, section 4.1). Here k is √n/3, because a third of the results have
  /// the size of those of the first stage, where the most memory is needed.
  private func parts(skipping skipped: Set<Int>) -> [(Variable, Pass) throws -> Variable] {
    let length = max(1, Int((Double(blocks.count).squareRoot() / 3).rounded()))
    let runs = stride(from: 0, to: blocks.count, by: length).map { $0..<min($0 + length, blocks.count) }
    return [beginning]
      + runs.map { run in
        { x, pass in
          try run.reduce(x) { try skipped.contains($1) ? blocks[$1].bypass($0, pass) : blocks[$1]($0, pass) }
        }
      }
  }

  private func beginning(_ images: Variable, _ pass: Pass) throws -> Variable {
    let x =
      switch stem {
      case .unit(let unit): try unit(images, relu: true, pass)
      case .convolution(let convolution): try convolution(images, pass)
      }
    if architecture.stem == .cifar { return x }
    return try pass.layer("maxpool") { try pass.maxPool(x, window: 3, stride: 2, padding: 1) }
  }

  // MARK: Checks

  private static func check(_ configuration: ModelConfiguration) throws {
    guard ModelConfiguration.classCounts.contains(configuration.classes) else {
      throw Failure(
        .invalidSetting, "a model has 1 to \(ModelConfiguration.classCounts.upperBound) classes, not \(configuration.classes)")
    }
    guard ModelConfiguration.channelCounts.contains(configuration.channels) else {
      throw Failure(
        .invalidSetting,
        "a model takes images of 1 to \(ModelConfiguration.channelCounts.upperBound) channels, not \(configuration.channels)")
    }
  }

  private static func check(_ configuration: ModelConfiguration, _ architecture: Architecture) throws {
    if architecture.block == .basic && configuration.stridePlacement == .firstOneByOne {
      throw Failure(
        .invalidSetting, "\(configuration.name) has no bottlenecks whose stride could be placed",
        remedy: "leave \(Setting.stride) out")
    }
    if architecture.isPreActivated && configuration.zeroInitLastBatchNorm {
      throw Failure(
        .invalidSetting, "the blocks of \(configuration.name) do not end with a batch normalization", remedy: "use a resnet")
    }
    if configuration.normalization == .none {
      if architecture.isPreActivated {
        throw Failure(
          .invalidSetting, "the blocks of \(configuration.name) begin with a batch normalization, so it cannot be left out",
          remedy: "leave \(Setting.norm) out, or use a resnet")
      }
      if configuration.zeroInitLastBatchNorm {
        throw Failure(
          .invalidSetting, "without batch normalization, blocks have no scale that could start at zero",
          remedy: "leave \(Setting.zeroInit) out")
      }
    }
    guard !architecture.isResidual else { return }
    if configuration.shortcut != nil {
      throw Failure(
        .invalidSetting, "\(configuration.name) has no shortcuts", remedy: "leave \(Setting.shortcut) out, or use a resnet")
    }
    if configuration.zeroInitLastBatchNorm {
      throw Failure(
        .invalidSetting, "\(configuration.name) has no shortcuts, so with scales of zero nothing would pass",
        remedy: "use a resnet")
    }
  }

  /// - Throws: ``Failure`` for a batch that the network cannot process.
  func check(_ images: Shape, _ mode: Pass.Mode) throws {
    guard images.rank == 4, !images.dimensions.contains(0), images[3] == configuration.channels else {
      throw Failure(
        .mismatch,
        "\(configuration.name) was built for images [N, H, W, \(configuration.channels)], these are \(images)")
    }
    // Beyond this limit, numbers of elements and operations would not fit into a machine word.
    guard images.count(within: 1 << 36) != nil else {
      throw Failure(
        .invalidSetting, "a batch of \(images) has more than 2^36 values",
        remedy: "use a smaller \(Setting.batchSize) or smaller images")
    }
    if mode == .training && !canTrain(on: images) {
      throw Failure(
        .invalidSetting,
        "\(configuration.name) cannot train on one image of \(images[1])×\(images[2]): its last stage has a single pixel, and "
          + "batch normalization needs two; use a larger batch or larger images")
    }
  }

  /// Returns whether batch normalization, if there is any, has at least two values per channel in every layer, that is, whether the
  /// last stage has at least two pixels in all images together. images [N,H,W,C].
  public func canTrain(on images: Shape) -> Bool {
    if configuration.normalization == .none { return true }
    let halvings = architecture.halvings
    return images[0] * (((images[1] - 1) >> halvings) + 1) * (((images[2] - 1) >> halvings) + 1) >= 2
  }
}
