/// Operations that a residual network needs, on one device.
///
/// The caller allocates every result (`into:`); a backend only writes. Operations may be asynchronous: they take effect in the
/// order of the calls, and only ``read(_:into:)``, ``finish()`` and a ``Readback`` wait.
///
/// Floating-point tensors have the backend's ``scalar`` type. A backend may also accept activations and their gradients (tensors
/// with at least one pixel per image and channel, such as [N,H,W,C] and [N,P,Q,K] below) as float16 or bfloat16. All activation
/// operands of one call must have the same type.
///
/// Shapes are the caller's duty: a mismatch is a programming error and stops the program with the operation's name. Thrown errors
/// come from the device: out of memory, a kernel that does not build, a lost device.
///
/// Destinations must not overlap sources unless an operation says that they may.
///
/// A backend must be used from one thread.
public protocol Backend: AnyObject {
  /// Device name for reports.
  var name: String { get }
  /// Floating-point type: ``DataType/float32``, or ``DataType/float64`` on the CPU reference in its second precision.
  var scalar: DataType { get }
  /// Granularity in bytes at which a storage can be sliced.
  var alignment: Int { get }
  /// Statistics of the device's memory pool so far.
  var memory: MemoryUse { get }
  /// Upper bound of the memory pool in bytes. ``allocate(byteCount:)`` refuses requests that would exceed it.
  var memoryLimit: Int { get }
  /// Advice that tells in messages how to raise the limit; nil if none is known.
  var memoryAdvice: String? { get }
  /// Size in bytes of the largest block that the driver gives.
  var largestBlock: Int { get }
  /// Devices that share the work, each with its own memory. A single device lists only itself.
  var devices: [any Backend] { get }
  /// Returns a simulation of this backend without memory or arithmetic. It has as many ``devices``; each of them learns how much
  /// memory its counterpart needs.
  func dryRun() -> any Backend

  // MARK: Memory

  /// Allocates a block of memory.
  /// - Throws: ``Failure`` if the device does not have enough memory left.
  func allocate(byteCount: Int) throws -> any Storage
  /// Allocates memory for a tensor whose first dimension is the `images` images of a batch, which several devices may share.
  func allocate(byteCount: Int, images: Int) throws -> any Storage
  /// Returns a view of `byteCount` bytes of `storage` from `offset`, a multiple of ``alignment``. The view keeps `storage` alive.
  func slice(_ storage: any Storage, offset: Int, byteCount: Int) throws -> any Storage
  /// Copies from the host. The source may be reused when the call returns.
  func write(_ bytes: UnsafeRawBufferPointer, to tensor: Tensor) throws
  /// Copies to the host, after all work enqueued before.
  func read(_ tensor: Tensor, into bytes: UnsafeMutableRawBufferPointer) throws
  /// Starts a copy to the host without waiting for it.
  func readLater(_ tensor: Tensor) throws -> any Readback
  /// Sets every element of a floating-point or integer tensor to `value`.
  func fill(_ tensor: Tensor, with value: Double) throws
  /// Copies all elements between tensors of equal type and count.
  func copy(_ source: Tensor, into destination: Tensor) throws
  /// Submits everything enqueued so far to the device.
  func flush() throws
  /// Waits until everything enqueued so far is done.
  func finish() throws
  /// Returns the sizes of the blocks that an operation borrows from the pool while it is enqueued, so that a dry run can count
  /// them.
  func workspaceByteCounts(_ operation: WorkspaceOperation) -> [Int]

  // MARK: Convolution

  /// Computes y = x ∗ filter. x [N,H,W,C], filter [R,S,C,K], y [N,P,Q,K].
  func convolution(_ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor) throws
  /// Computes y = x ∗ filter, and the statistics of y as
  /// ``batchNormStatistics(_:epsilon:momentum:mean:inverseDeviation:runningMean:runningVariance:)`` does.
  func convolution(_ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor, _ statistics: BatchNormStatistics) throws
  /// Computes y = x ∗ filter for inference and applies the epilogue. `prepared` is the result of ``prepareFilter(_:_:_:into:)``
  /// for this geometry. The epilogue's residual may not be y.
  func convolution(
    _ x: Tensor, prepared: Tensor, _ geometry: Conv2D, _ epilogue: ConvolutionEpilogue, into y: Tensor) throws
  /// Converts a filter [R,S,C,K] to the form that this backend's inference needs for one geometry and one storage type of x and
  /// y: arranged in panels, or transformed. prepared [``preparedFilterCount(_:_:)``].
  func prepareFilter(_ filter: Tensor, _ geometry: Conv2D, _ storage: DataType, into prepared: Tensor) throws
  /// Returns the number of elements of a prepared filter.
  /// - Throws: if the device's compiler refuses all kernels for this convolution.
  func preparedFilterCount(_ geometry: Conv2D, _ storage: DataType) throws -> Int
  /// Returns ``preparedFilterCount(_:_:)`` as planned, without building a kernel, for dry runs.
  func plannedFilterCount(_ geometry: Conv2D, _ storage: DataType) -> Int
  /// Computes the gradient with respect to x; adds it to the contents of dx if `accumulate` is true. dy [N,P,Q,K], filter
  /// [R,S,C,K], dx [N,H,W,C].
  func convolutionInputGradient(_ dy: Tensor, filter: Tensor, _ geometry: Conv2D, accumulate: Bool, into dx: Tensor) throws
  /// Computes the gradient with respect to the filter. x [N,H,W,C], dy [N,P,Q,K], dw [R,S,C,K].
  func convolutionFilterGradient(_ x: Tensor, _ dy: Tensor, _ geometry: Conv2D, into dw: Tensor) throws

  // MARK: Batch normalization (Ioffe & Szegedy 2015)

  /// Computes statistics of each channel over all other dimensions of x [..., C], which has M = count / C values per channel.
  ///
  /// Writes mean = Σx/M and inverseDeviation = 1/√(Σ(x−mean)²/M + epsilon), both [C], and updates the running statistics
  /// as PyTorch does: running ← (1−momentum)·running + momentum·new, where the variance has the unbiased divisor M−1.
  /// - Precondition: M > 1.
  func batchNormStatistics(
    _ x: Tensor, epsilon: Double, momentum: Double, mean: Tensor, inverseDeviation: Tensor, runningMean: Tensor,
    runningVariance: Tensor) throws
  /// Computes 1/√(variance + epsilon), both [C]: turns running variances into an operand of
  /// ``batchNorm(_:_:residual:relu:into:)``.
  func inverseDeviation(ofVariance variance: Tensor, epsilon: Double, into inverseDeviation: Tensor) throws
  /// Folds batch normalization with known statistics into one factor and one summand per channel, all [C]:
  /// foldedScale = scale/√(variance + epsilon), foldedBias = bias − mean·foldedScale.
  func foldBatchNorm(_ norm: BatchNormEstimates, epsilon: Double, scale foldedScale: Tensor, bias foldedBias: Tensor) throws
  /// Computes y = scale·(x−mean)·inverseDeviation + bias, plus residual, then max(·, 0) if relu is true. y may be x.
  func batchNorm(_ x: Tensor, _ channels: BatchNormChannels, residual: Tensor?, relu: Bool, into y: Tensor) throws
  /// Computes the gradients of ``batchNorm(_:_:residual:relu:into:)`` with statistics of the batch itself.
  ///
  /// g is dy where ReLU let the value pass, else 0. The results are dbias = Σg, dscale = Σg·x̂,
  /// dx = scale·inverseDeviation·(g − dbias/M − x̂·dscale/M), and dresidual = g. dresidual may be dy; dx may be dy or x.
  func batchNormGradient(
    _ dy: Tensor, x: Tensor, mask: ReLUMask, _ channels: BatchNormChannels, into dx: Tensor, dscale: Tensor, dbias: Tensor,
    dresidual: Tensor?) throws

  // MARK: Pooling

  /// Writes the largest value of each window and its position r·window + s in the window. The first of several equal values
  /// counts; a NaN wins. x [N,H,W,C], y [N,P,Q,C], positions uint8 [N,P,Q,C].
  func maxPool(_ x: Tensor, _ geometry: Pool2D, into y: Tensor, positions: Tensor) throws
  /// Computes dx = Σ of dy over the windows in which the pixel was the largest value. dy, positions [N,P,Q,C], dx [N,H,W,C].
  func maxPoolGradient(_ dy: Tensor, positions: Tensor, _ geometry: Pool2D, into dx: Tensor) throws
  /// Pools over any window, for inference: x [N,H,W,C] → y [N,P,Q,C], both of ``scalar`` type.
  func pool(_ x: Tensor, _ geometry: WindowPool, into y: Tensor) throws
  /// Computes the mean over the pixels: x [N,H,W,C] → y [N,C].
  func globalAveragePool(_ x: Tensor, into y: Tensor) throws
  /// Computes dx = dy / (H·W) at every pixel. dy [N,C], dx [N,H,W,C].
  func globalAveragePoolGradient(_ dy: Tensor, into dx: Tensor) throws

  // MARK: Linear algebra and elementwise operations

  /// Computes c = a·b for row-major matrices, each transposed first if requested: a [m,k] (or [k,m]), b [k,n] (or [n,k]), c
  /// [m,n].
  func multiply(_ a: Tensor, transposed ta: Bool, _ b: Tensor, transposed tb: Bool, into c: Tensor) throws
  /// Adds a bias to each row: y[m,:] += bias. y [M,C], bias [C].
  func addBias(_ bias: Tensor, to y: Tensor) throws
  /// Computes sum[c] = Σ_m x[m,c]. x [M,C].
  func sumRows(_ x: Tensor, into sum: Tensor) throws
  /// Computes y = a + b, then max(·, 0) if relu is true. y may be a or b.
  func add(_ a: Tensor, _ b: Tensor, relu: Bool, into y: Tensor) throws
  /// Computes y = max(x, 0). A NaN stays a NaN. y may be x.
  func relu(_ x: Tensor, into y: Tensor) throws
  /// Computes y = min(max(x, lower), upper). A NaN stays a NaN. y may be x. Both have ``scalar`` type.
  func clip(_ x: Tensor, lower: Double, upper: Double, into y: Tensor) throws
  /// Copies elements from anywhere in x to anywhere in y. The other elements of y stay as they are. Both have ``scalar`` type.
  func rearrange(_ x: Tensor, _ copy: StridedCopy, into y: Tensor) throws
  /// Computes dx = dy where y > 0, else 0. dx may be dy.
  func reluGradient(_ dy: Tensor, y: Tensor, into dx: Tensor) throws
  /// Computes the option-A shortcut of He et al. 2015: takes every stride-th pixel and pads the channels evenly with zeros on
  /// both sides (the smaller half first). x [N,H,W,C] → y [N,⌈H/stride⌉,⌈W/stride⌉,K], K ≥ C.
  func padShortcut(_ x: Tensor, stride: Int, into y: Tensor) throws
  /// Computes the gradient of ``padShortcut(_:stride:into:)``; adds it to the contents of dx if `accumulate` is true.
  func padShortcutGradient(_ dy: Tensor, stride: Int, accumulate: Bool, into dx: Tensor) throws

  // MARK: Loss, optimizer, batches

  /// Computes the softmax of each row. logits and probabilities [N,K].
  func softmax(_ logits: Tensor, into probabilities: Tensor) throws
  /// Computes softmax cross-entropy with label smoothing ε as PyTorch defines it: the target is (1−ε) at the label plus ε/K
  /// everywhere.
  ///
  /// logits [N,K], labels int32 [N]. For mixed images, labels are int32 [N,3]: (first, second, s). The target is then s/2^24 of
  /// the first label's target plus the rest of the second label's, and the counts are weighted in the same way.
  ///
  /// Adds to metrics [3] the sum of the N losses, the number of rows whose label is the largest logit, and the number of rows
  /// whose label is among the five largest logits. Of equal logits, the lower class index ranks first; a row with a NaN counts as
  /// neither. gradient [N,K], if given, is that of the *mean* loss, multiplied by ``LossScale/next`` of the loss scale, if that
  /// is given.
  func crossEntropy(
    _ logits: Tensor, labels: Tensor, smoothing: Double, metrics: Tensor, gradient: Tensor?, lossScale: Tensor?) throws
  /// Performs one step of stochastic gradient descent over flat arenas of equal count, like PyTorch's `torch.optim.SGD` with zero
  /// dampening: g = λ·(factor·gradient + decay·w); v ← momentum·v + g; w ← w − rate·(nesterov ? g + momentum·v : v).
  /// The factor is that of `use`, and λ = 1 without ``SGDRule/adaptation``.
  ///
  /// Does nothing if the loss scale of `use` says that a gradient is not finite.
  func sgdStep(_ weights: Tensor, gradients: Tensor, velocity: Tensor, _ rule: SGDRule, _ use: GradientUse) throws
  /// Performs one step of Adam with decoupled weight decay over flat arenas of equal count, like PyTorch's `torch.optim.AdamW`
  /// (Loshchilov & Hutter 2019): m ← β₁·m + (1−β₁)·g; s ← β₂·s + (1−β₂)·g²;
  /// w ← (1−rate·decay)·w − rate·m̂/(√ŝ + epsilon), with g = factor·gradient, m̂ = m/(1−β₁ᵗ),
  /// ŝ = s/(1−β₂ᵗ). t is the number of steps performed, including this one.
  ///
  /// Does nothing, and does not count the step in t, if the loss scale of `use` says that a gradient is not finite.
  func adamWStep(_ weights: Tensor, gradients: Tensor, mean: Tensor, square: Tensor, _ rule: AdamWRule, _ use: GradientUse) throws
  /// Computes norms[index] = Σ x² for x of any shape; the other elements stay as they are.
  func squaredNorm(_ x: Tensor, into norms: Tensor, at index: Int) throws
  /// Computes average ← average + share·(x − average) for two arenas of equal count.
  func moveAverage(_ average: Tensor, toward x: Tensor, by share: Double) throws
  /// Updates a dynamic loss scale: checks whether all gradients are finite and chooses the next scale. lossScale
  /// [``LossScale/count``].
  ///
  /// Sets current ← next, and isFinite ← whether no gradient is a NaN or an infinity. Then halves next if one is, or doubles
  /// it after ``LossScale/growthInterval`` steps without one.
  func updateLossScale(_ lossScale: Tensor, gradients: Tensor) throws
  /// Builds a batch from a data set that lives on the device.
  ///
  /// images uint8 or float32 [M,H,W,C], labels int32 [M]; plan int32 [N,4] holds (index, top, left, flip) for each sample. Output
  /// pixel (p, q) is the image's pixel (top + p, left + q), with q counted from the right if flip is 1, and zero outside the
  /// image. Then x = pixel · channelScale[c] + channelShift[c]. x [N,P,Q,C], batchLabels int32 [N]. channelMap float [2,C]:
  /// scales, then shifts.
  ///
  /// For erased and mixed images, plan is int32 [N,22] with the columns of ``BatchPlan/mixedColumns``. A view is 0 in its erased
  /// rectangle. In the mixing rectangle, x is the second view alone; elsewhere x is s/2^24 of the first view plus the rest of the
  /// second. All rectangles are in output pixels and may be empty. batchLabels are then int32 [N,3]: (first, second, share of the
  /// first in 2^24ths).
  func gatherBatch(
    images: Tensor, labels: Tensor, plan: Tensor, channelMap: Tensor, into x: Tensor, batchLabels: Tensor) throws
}

/// A copy to the host that is in progress.
public protocol Readback: AnyObject {
  /// Whether the values have arrived; never waits.
  var isReady: Bool { get }
  /// Waits for the values and returns them.
  func wait() throws -> HostTensor
}

/// The passes of a convolution. The forward passes of training and of inference may differ in the preparation of the filter and
/// in rounding.
public enum ConvolutionPass: String, CaseIterable, Sendable {
  /// Forward passes of training; the second also computes the statistics of the result.
  case forward, forwardWithStatistics
  case inference, inputGradient, filterGradient
}

/// The epilogue of a convolution in inference, applied to each result before it is stored: y = result·scale + bias, plus
/// residual, then max(·, 0) if relu is true. scale, bias [K], residual [N,P,Q,K].
public struct ConvolutionEpilogue {
  /// Factor and summand per channel, [K].
  public let scale, bias: Tensor
  /// Summand, [N,P,Q,K]; nil for none.
  public let residual: Tensor?
  /// Whether negative results become zero.
  public let relu: Bool

  public init(scale: Tensor, bias: Tensor, residual: Tensor?, relu: Bool) {
    (self.scale, self.bias, self.residual, self.relu) = (scale, bias, residual, relu)
  }
}

/// Constants and result tensors of batch normalization's statistics; all tensors are [C].
public struct BatchNormStatistics {
  /// Number that is added to the variance, and weight of the batch in the running statistics.
  public let epsilon, momentum: Double
  /// Results, all [C]. The first two are overwritten, the running statistics are updated.
  public let mean, inverseDeviation, runningMean, runningVariance: Tensor

  public init(
    epsilon: Double, momentum: Double, mean: Tensor, inverseDeviation: Tensor, runningMean: Tensor, runningVariance: Tensor
  ) {
    (self.epsilon, self.momentum) = (epsilon, momentum)
    (self.mean, self.inverseDeviation) = (mean, inverseDeviation)
    (self.runningMean, self.runningVariance) = (runningMean, runningVariance)
  }
}

/// Parameters and running statistics of batch normalization, all [C].
public struct BatchNormEstimates {
  /// Running statistics, then trained parameters; all [C].
  public let mean, variance, scale, bias: Tensor

  public init(mean: Tensor, variance: Tensor, scale: Tensor, bias: Tensor) {
    (self.mean, self.variance, self.scale, self.bias) = (mean, variance, scale, bias)
  }
}

/// Operations that may need a workspace.
public enum WorkspaceOperation: Hashable, Sendable {
  case convolution(ConvolutionWork)
  case multiply(MatrixProduct)
  /// Statistics and gradient of batch normalization, both over x [rows, channels].
  case batchNormStatistics(rows: Int, channels: Int)
  case batchNormGradient(rows: Int, channels: Int)
  case crossEntropy(rows: Int)
  /// Operations over `count` elements.
  case updateLossScale(count: Int)
  case squaredNorm(count: Int)
}

/// Mask of batch normalization's gradient: tells which values the ReLU let pass.
public enum ReLUMask {
  /// No ReLU was applied.
  case none
  /// Values passed where the given result is positive.
  case result(Tensor)
  /// Values passed where the normalized value is positive. It is recomputed from x, which requires a ReLU without a residual
  /// before it.
  case recomputed

  /// Tensor of ``result(_:)``; nil for the other cases.
  public var result: Tensor? { if case .result(let y) = self { y } else { nil } }
  /// Whether the mask is ``recomputed``.
  public var isRecomputed: Bool { if case .recomputed = self { true } else { false } }
}

/// Statistics and parameters with which batch normalization treats each channel, all [C].
public struct BatchNormChannels {
  public let mean, inverseDeviation, scale, bias: Tensor

  public init(mean: Tensor, inverseDeviation: Tensor, scale: Tensor, bias: Tensor) {
    self.mean = mean
    self.inverseDeviation = inverseDeviation
    self.scale = scale
    self.bias = bias
  }
}

extension Backend {
  public var devices: [any Backend] { [self] }

  public var memoryAdvice: String? { nil }

  public func dryRun() -> any Backend { DryRunBackend(modelling: self, isLogging: false) }

  public func allocate(byteCount: Int, images: Int) throws -> any Storage { try allocate(byteCount: byteCount) }

  /// Allocates a tensor of undefined contents whose first dimension is the images of a batch. Its type is the backend's
  /// ``scalar`` type unless another is given.
  public func batchTensor(_ shape: Shape, _ type: DataType? = nil) throws -> Tensor {
    let type = type ?? scalar
    return Tensor(
      shape: shape, type: type, storage: try allocate(byteCount: shape.count * type.byteCount, images: shape[0]))
  }

  /// Allocates a tensor of undefined contents. Its type is the backend's ``scalar`` type unless another is given.
  public func tensor(_ shape: Shape, _ type: DataType? = nil) throws -> Tensor {
    let type = type ?? scalar
    return Tensor(shape: shape, type: type, storage: try allocate(byteCount: shape.count * type.byteCount))
  }

  /// Allocates a tensor and fills it with the host's elements. Floating-point elements are converted to ``scalar`` or to the
  /// given type, int64 to int32.
  public func upload(_ host: HostTensor, as floatingPoint: DataType? = nil) throws -> Tensor {
    try upload(host, to: tensor(host.shape, type(of: host, floatingPoint)))
  }

  /// Does the same as ``upload(_:as:)`` for a tensor whose first dimension is the images of a batch.
  public func uploadBatch(_ host: HostTensor, as floatingPoint: DataType? = nil) throws -> Tensor {
    try upload(host, to: batchTensor(host.shape, type(of: host, floatingPoint)))
  }

  private func type(of host: HostTensor, _ floatingPoint: DataType?) -> DataType {
    switch host.type {
    case .float32, .float16, .bfloat16, .float64: floatingPoint ?? scalar
    case .int32, .int64: .int32
    case .uint8: .uint8
    }
  }

  private func upload(_ host: HostTensor, to tensor: Tensor) throws -> Tensor {
    try host.converted(to: tensor.type).bytes.withUnsafeBytes { try write($0, to: tensor) }
    return tensor
  }

  /// Returns the elements, after all work enqueued so far.
  public func download(_ tensor: Tensor) throws -> HostTensor {
    var bytes = [UInt8](repeating: 0, count: tensor.byteCount)
    try bytes.withUnsafeMutableBytes { try read(tensor, into: $0) }
    return HostTensor(shape: tensor.shape, type: tensor.type, bytes: bytes)
  }
}
