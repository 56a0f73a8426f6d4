import Compute

/// A way to compute convolutions and their gradients.
///
/// Properties hold the sizes that a tuner chose; nil leaves a size to the plan. A plan checks each size where it uses it, and
/// ignores one that does not suit. Therefore no choice, wherever it comes from, can make a plan that computes something else.
protocol ConvolutionAlgorithm: Hashable, Sendable {
  /// Name in tuning tables and messages.
  static var name: String { get }
  /// Class of devices whose tuner tries it; nil for every class. Kernels for the other class are slower by far.
  static var kernelClass: KernelClass? { get }
  /// Whether images and filters are transformed, which costs digits of accuracy.
  static var transforms: Bool { get }
  /// Whether its kernels are so simple that they replace those which a driver refuses.
  static var isSubstitute: Bool { get }
  /// Sizes by their names in tuning tables, which are those of the kernels' constants.
  static var sizes: [String: WritableKeyPath<Self, Int?>] { get }

  /// Creates the algorithm with the sizes that plans choose.
  init()

  /// Returns the sizes worth trying for a pass, the most promising first.
  static func candidates(for pass: ConvolutionPass) -> [Self]

  /// Plans a convolution: a forward pass, or one phase of an input gradient.
  /// - Parameter isChosen: whether the tuner or a caller chose this algorithm. If not, the plan is nil also where another
  ///   algorithm is expected to be faster.
  /// - Returns: nil if the algorithm does not support this convolution.
  func plan(_ task: ConvolutionTask, isChosen: Bool) -> (any ConvolutionPlan)?

  /// Plans a filter gradient, under the same conditions.
  func planFilterGradient(_ task: ConvolutionTask, isChosen: Bool) -> (any FilterGradientPlan)?
}

extension ConvolutionAlgorithm {
  static var kernelClass: KernelClass? { nil }
  static var transforms: Bool { false }
  static var isSubstitute: Bool { false }
  static var sizes: [String: WritableKeyPath<Self, Int?>] { [:] }

  static func candidates(for pass: ConvolutionPass) -> [Self] { [Self()] }
}

/// Input of a plan: a convolution, its pass, and the device.
struct ConvolutionTask {
  let problem: ConvolutionProblem
  /// Pass that the convolution is, or of which it is a phase.
  let pass: ConvolutionPass
  let storage: DataType
  let accumulates: Bool
  let traits: DeviceTraits

  init(_ problem: ConvolutionProblem, _ work: ConvolutionWork, _ traits: DeviceTraits) {
    (self.problem, pass, storage, accumulates) = (problem, work.pass, work.storage, work.accumulates)
    self.traits = traits
  }

  /// Largest side of Winograd's tiles that the device's policy of accuracy allows.
  var winogradSide: Int {
    pass == .forward || pass == .forwardWithStatistics ? traits.forwardWinogradSide : traits.winogradSide
  }

  /// Returns the kinds of epilogue that the convolution may have.
  /// - Parameter takingMoments: whether its kernel can take the moments of what it stores.
  func epilogues(takingMoments: Bool = false) -> [Epilogue.Kind] {
    switch pass {
    case .forward, .filterGradient: [.store]
    case .forwardWithStatistics: [takingMoments ? .moments : .store]
    case .inputGradient: [accumulates ? .accumulate : .store]
    case .inference:
      [false, true].flatMap { residual in [false, true].map { .affine(residual: residual, relu: $0) } }
    }
  }
}

extension Int? {
  /// Returns a size that was chosen, if there is one and it suits.
  func suiting(_ suits: (Int) -> Bool) -> Int? { flatMap { suits($0) ? $0 : nil } }
}
