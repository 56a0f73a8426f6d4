/// The operations that a residual network needs, on one device.
///
/// The caller allocates every result (`into:`); a backend only writes. Operations may be asynchronous: they take effect in the
/// order of the calls, and only ``read(_:into:)``, ``finish()`` and a ``Readback`` wait. Floating-point tensors are of the
/// backend's ``scalar`` type, except that a backend may take activations and their gradients (all that has a pixel or more for each
/// image and channel: what stands as [N,H,W,C] or [N,P,Q,K] below) in float16 or bfloat16 too, all of an operation in the same. Shapes are the caller's duty: a mismatch is a programming error and stops the program with the
/// operation's name. Errors thrown are the device's: out of memory, a kernel that does not build, a lost device.
///
/// Destinations must not overlap sources unless an operation says that they may.
///
/// A backend is used from one thread.
public protocol Backend: AnyObject {
  /// The device's name for reports.
  var name: String { get }
  /// ``DataType/float32``, or ``DataType/float64`` on the CPU reference in its second precision.
  var scalar: DataType { get }
  /// The granularity in bytes at which a storage can be sliced.
  var alignment: Int { get }
  /// What the pool of the device's memory has done so far.
  var memory: MemoryUse { get }
  /// Bytes that the memory pool may hold at most; ``allocate(byteCount:)`` refuses what would pass them.
  var memoryLimit: Int { get }
  /// Advice that raises the limit, for messages; nil where none is known.
  var memoryAdvice: String? { get }
  /// Bytes that the driver gives in one block at most.
  var largestBlock: Int { get }
  /// The devices that share the work, each with memory of its own; by itself it is one.
  var devices: [any Backend] { get }
  /// A backend without memory or arithmetic that has as many ``devices``, each of which learns what memory the one in its place needs.
  func dryRun() -> any Backend

  // MARK: Memory

  /// - Throws: ``Failure`` where the device has no such memory left.
  func allocate(byteCount: Int) throws -> any Storage
  /// Memory for a tensor whose first dimension are the `images` images of a batch, which several devices may share out.
  func allocate(byteCount: Int, images: Int) throws -> any Storage
  /// A view of `byteCount` bytes of `storage` from `offset`, a multiple of ``alignment``; keeps `storage` alive.
  func slice(_ storage: any Storage, offset: Int, byteCount: Int) throws -> any Storage
  /// Copies from the host; the source may be reused when the call returns.
  func write(_ bytes: UnsafeRawBufferPointer, to tensor: Tensor) throws
  /// Copies to the host, after all work before it.
  func read(_ tensor: Tensor, into bytes: UnsafeMutableRawBufferPointer) throws
  /// Starts a copy to the host without waiting for it.
  func readLater(_ tensor: Tensor) throws -> any Readback
  /// Sets every element of a floating-point or integer tensor.
  func fill(_ tensor: Tensor, with value: Double) throws
  /// Copies all elements between tensors of equal type and count.
  func copy(_ source: Tensor, into destination: Tensor) throws
  /// Hands everything enqueued so far to the device.
  func flush() throws
  /// Waits until everything enqueued so far is done.
  func finish() throws
  /// The sizes of the blocks that an operation borrows from the pool while it is enqueued, so that a dry run can count them.
  func workspaceByteCounts(_ operation: WorkspaceOperation) -> [Int]

  // MARK: Convolution

  /// y = x ∗ filter. x [N,H,W,C], filter [R,S,C,K], y [N,P,Q,K].
  func convolution(_ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor) throws
  /// y = x ∗ filter, and the statistics of y as ``batchNormStatistics(_:epsilon:momentum:mean:inverseDeviation:runningMean:runningVariance:)``
  /// takes them.
  func convolution(_ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor, _ statistics: BatchNormStatistics) throws
  /// y = x ∗ filter in inference, finished by the epilogue. `prepared` is what ``prepareFilter(_:_:_:into:)`` made of the filter for this
  /// geometry. The epilogue's residual may not be y.
  func convolution(
    _ x: Tensor, prepared: Tensor, _ geometry: Conv2D, _ epilogue: ConvolutionEpilogue, into y: Tensor) throws
  /// A filter [R,S,C,K] in the form in which this backend's inference wants it for one geometry and storage type of x and y: in
  /// panels, or transformed. prepared [``preparedFilterCount(_:_:)``].
  func prepareFilter(_ filter: Tensor, _ geometry: Conv2D, _ storage: DataType, into prepared: Tensor) throws
  /// Elements of a prepared filter.
  /// - Throws: where the device's compiler refuses all kernels for this convolution.
  func preparedFilterCount(_ geometry: Conv2D, _ storage: DataType) throws -> Int
  /// ``preparedFilterCount(_:_:)`` as it is planned, without building a kernel: for dry runs.
  func plannedFilterCount(_ geometry: Conv2D, _ storage: DataType) -> Int
  /// The gradient with respect to x, or added to what dx holds. dy [N,P,Q,K], filter [R,S,C,K], dx [N,H,W,C].
  func convolutionInputGradient(_ dy: Tensor, filter: Tensor, _ geometry: Conv2D, accumulate: Bool, into dx: Tensor) throws
  /// The gradient with respect to the filter. x [N,H,W,C], dy [N,P,Q,K], dw [R,S,C,K].
  func convolutionFilterGradient(_ x: Tensor, _ dy: Tensor, _ geometry: Conv2D, into dw: Tensor) throws

  // MARK: Batch normalisation (Ioffe & Szegedy 2015)

  /// Statistics of each channel over all other dimensions of x [..., C], of M = count / C values.
  ///
  /// Writes mean = Σx/M and inverseDeviation = 1/√(Σ(x−mean)²/M + epsilon), both [C], and moves the running estimates as
  /// PyTorch does: running ← (1−momentum)·running + momentum·new, the variance with the unbiased divisor M−1.
  /// - Precondition: M > 1.
  func batchNormStatistics(
    _ x: Tensor, epsilon: Double, momentum: Double, mean: Tensor, inverseDeviation: Tensor, runningMean: Tensor,
    runningVariance: Tensor) throws
  /// 1/√(variance + epsilon), both [C]: turns running estimates into what ``batchNorm(_:_:residual:relu:into:)`` takes.
  func inverseDeviation(ofVariance variance: Tensor, epsilon: Double, into inverseDeviation: Tensor) throws
  /// Batch normalisation with known statistics as one factor and one summand a channel, all [C]:
  /// foldedScale = scale/√(variance + epsilon), foldedBias = bias − mean·foldedScale.
  func foldBatchNorm(_ norm: BatchNormEstimates, epsilon: Double, scale foldedScale: Tensor, bias foldedBias: Tensor) throws
  /// y = scale·(x−mean)·inverseDeviation + bias, plus residual, then max(·, 0) where relu. y may be x.
  func batchNorm(_ x: Tensor, _ channels: BatchNormChannels, residual: Tensor?, relu: Bool, into y: Tensor) throws
  /// The gradients of ``batchNorm(_:_:residual:relu:into:)`` with statistics of the batch itself.
  ///
  /// With g = dy where ReLU let the value pass: dbias = Σg, dscale = Σg·x̂,
  /// dx = scale·inverseDeviation·(g − dbias/M − x̂·dscale/M), and dresidual = g. dresidual may be dy; dx may be dy or x.
  func batchNormGradient(
    _ dy: Tensor, x: Tensor, mask: ReLUMask, _ channels: BatchNormChannels, into dx: Tensor, dscale: Tensor, dbias: Tensor,
    dresidual: Tensor?) throws

  // MARK: Pooling

  /// The largest value of each window, and its position r·window + s in the window (the first where several are equal; a NaN
  /// wins). x [N,H,W,C], y [N,P,Q,C], positions uint8 [N,P,Q,C].
  func maxPool(_ x: Tensor, _ geometry: Pool2D, into y: Tensor, positions: Tensor) throws
  /// dx = Σ of dy over the windows whose largest value each pixel was. dy, positions [N,P,Q,C], dx [N,H,W,C].
  func maxPoolGradient(_ dy: Tensor, positions: Tensor, _ geometry: Pool2D, into dx: Tensor) throws
  /// Pooling of any window, for inference: x [N,H,W,C] → y [N,P,Q,C], both of ``scalar`` type.
  func pool(_ x: Tensor, _ geometry: WindowPool, into y: Tensor) throws
  /// x [N,H,W,C] → y [N,C], the mean over the pixels.
  func globalAveragePool(_ x: Tensor, into y: Tensor) throws
  /// dx = dy / (H·W) at every pixel. dy [N,C], dx [N,H,W,C].
  func globalAveragePoolGradient(_ dy: Tensor, into dx: Tensor) throws

  // MARK: Linear algebra and elementwise operations

  /// c = a·b, row-major matrices, each transposed first where asked: a [m,k] (or [k,m]), b [k,n] (or [n,k]), c [m,n].
  func multiply(_ a: Tensor, transposed ta: Bool, _ b: Tensor, transposed tb: Bool, into c: Tensor) throws
  /// y[m,:] += bias, y [M,C], bias [C].
  func addBias(_ bias: Tensor, to y: Tensor) throws
  /// sum[c] = Σ_m x[m,c], x [M,C].
  func sumRows(_ x: Tensor, into sum: Tensor) throws
  /// y = a + b, then max(·, 0) where relu. y may be a or b.
  func add(_ a: Tensor, _ b: Tensor, relu: Bool, into y: Tensor) throws
  /// y = max(x, 0); a NaN stays one. y may be x.
  func relu(_ x: Tensor, into y: Tensor) throws
  /// y = min(max(x, lower), upper); a NaN stays one. y may be x. Of ``scalar`` type.
  func clip(_ x: Tensor, lower: Double, upper: Double, into y: Tensor) throws
  /// Copies elements from anywhere in x to anywhere in y, whose other elements stay. Of ``scalar`` type.
  func rearrange(_ x: Tensor, _ copy: StridedCopy, into y: Tensor) throws
  /// dx = dy where y > 0, else 0. dx may be dy.
  func reluGradient(_ dy: Tensor, y: Tensor, into dx: Tensor) throws
  /// The option-A shortcut of He et al. 2015: every stride-th pixel, channels zero-padded evenly on both sides (the smaller
  /// half first). x [N,H,W,C] → y [N,⌈H/stride⌉,⌈W/stride⌉,K], K ≥ C.
  func padShortcut(_ x: Tensor, stride: Int, into y: Tensor) throws
  /// The gradient of ``padShortcut(_:stride:into:)``, or added to what dx holds.
  func padShortcutGradient(_ dy: Tensor, stride: Int, accumulate: Bool, into dx: Tensor) throws

  // MARK: Loss, optimiser, batches

  /// Each row's softmax, logits and probabilities [N,K].
  func softmax(_ logits: Tensor, into probabilities: Tensor) throws
  /// Softmax cross-entropy with label smoothing ε as PyTorch defines it: the target is (1−ε) at the label plus ε/K everywhere.
  ///
  /// logits [N,K], labels int32 [N]; or int32 [N,3] of mixed images, (first, second, s): the target is then s/2^24 that of the first
  /// label and the rest that of the second, and so are the counts. Adds the sum of the N losses, the number of rows whose label is the largest logit, and the
  /// number whose label is among the five largest, to metrics [3]; of equal logits the lower class index ranks first, and a
  /// row with a NaN counts as neither. gradient [N,K], if given, is that of the *mean* loss, times the ``LossScale/next`` of a
  /// loss scale, if one is given.
  func crossEntropy(
    _ logits: Tensor, labels: Tensor, smoothing: Double, metrics: Tensor, gradient: Tensor?, lossScale: Tensor?) throws
  /// One step of stochastic gradient descent over flat arenas of equal count, as PyTorch's `torch.optim.SGD` with zero dampening:
  /// g = λ·(factor·gradient + decay·w); v ← momentum·v + g; w ← w − rate·(nesterov ? g + momentum·v : v), where the factor is
  /// that of `use`, and λ = 1 without ``SGDRule/adaptation``.
  ///
  /// Nothing is done where the loss scale of `use` says that a gradient is an infinity.
  func sgdStep(_ weights: Tensor, gradients: Tensor, velocity: Tensor, _ rule: SGDRule, _ use: GradientUse) throws
  /// One step of Adam with decoupled weight decay over flat arenas of equal count, as PyTorch's `torch.optim.AdamW` (Loshchilov &
  /// Hutter 2019): m ← β₁·m + (1−β₁)·g; s ← β₂·s + (1−β₂)·g²; w ← (1−rate·decay)·w − rate·m̂/(√ŝ + epsilon), with
  /// g = factor·gradient, m̂ = m/(1−β₁ᵗ), ŝ = s/(1−β₂ᵗ), and t the steps that were done, this one included.
  ///
  /// Nothing is done, and t does not count, where the loss scale of `use` says that a gradient is an infinity.
  func adamWStep(_ weights: Tensor, gradients: Tensor, mean: Tensor, square: Tensor, _ rule: AdamWRule, _ use: GradientUse) throws
  /// norms[index] = Σ x², any shape; the other elements stay.
  func squaredNorm(_ x: Tensor, into norms: Tensor, at index: Int) throws
  /// average ← average + share·(x − average), two arenas of equal count.
  func moveAverage(_ average: Tensor, toward x: Tensor, by share: Double) throws
  /// Dynamic loss scaling: finds out whether all gradients are finite and chooses the next scale. lossScale [``LossScale/count``].
  ///
  /// current ← next; isFinite ← whether no gradient is a NaN or an infinity; then next is halved where one is, and doubled after
  /// ``LossScale/growthInterval`` steps without one.
  func updateLossScale(_ lossScale: Tensor, gradients: Tensor) throws
  /// Builds a batch from a data set that lives on the device.
  ///
  /// images uint8 or float32 [M,H,W,C], labels int32 [M]; plan int32 [N,4] holds for each sample (index, top, left, flip).
  /// Output pixel (p, q) is the image's pixel (top + p, left + q), with q counted from the right where flip is 1, and zero outside
  /// the image; then x = pixel · channelScale[c] + channelShift[c]. x [N,P,Q,C], batchLabels int32 [N].
  /// channelMap float [2,C]: scales, then shifts.
  ///
  /// Or plan int32 [N,22] of erased and mixed images, with the columns of ``BatchPlan/mixedColumns``: x is 0 in a view's erased
  /// rectangle, and s/2^24 of the first view plus the rest of the second; the second alone in its rectangle. All rectangles are
  /// counted in output pixels, and may be empty. Then batchLabels are int32 [N,3]: (first, second, share of the first in 2^24ths).
  func gatherBatch(
    images: Tensor, labels: Tensor, plan: Tensor, channelMap: Tensor, into x: Tensor, batchLabels: Tensor) throws
}

/// A copy to the host that is under way.
public protocol Readback: AnyObject {
  /// True once the values are there; never waits.
  var isReady: Bool { get }
  /// Waits for the values.
  func wait() throws -> HostTensor
}

/// The passes of a convolution. The forward pass of training and that of inference may differ in what a filter goes through first
/// and in rounding.
public enum ConvolutionPass: String, CaseIterable, Sendable {
  /// The second also takes the result's statistics.
  case forward, forwardWithStatistics
  case inference, inputGradient, filterGradient
}

/// What inference does with a convolution's result before it is stored: y = result·scale + bias, plus residual, then max(·, 0)
/// where relu. scale, bias [K], residual [N,P,Q,K].
public struct ConvolutionEpilogue {
  /// [K].
  public let scale, bias: Tensor
  /// [N,P,Q,K], or nil for none.
  public let residual: Tensor?
  /// Whether negative results become zero.
  public let relu: Bool

  public init(scale: Tensor, bias: Tensor, residual: Tensor?, relu: Bool) {
    (self.scale, self.bias, self.residual, self.relu) = (scale, bias, residual, relu)
  }
}

/// What batch normalisation takes from a batch: its constants, and where the results go, all [C].
public struct BatchNormStatistics {
  /// What is added to the variance, and the weight of the batch in the running estimates.
  public let epsilon, momentum: Double
  /// All [C]: the first two are written, the running estimates moved.
  public let mean, inverseDeviation, runningMean, runningVariance: Tensor

  public init(
    epsilon: Double, momentum: Double, mean: Tensor, inverseDeviation: Tensor, runningMean: Tensor, runningVariance: Tensor
  ) {
    (self.epsilon, self.momentum) = (epsilon, momentum)
    (self.mean, self.inverseDeviation) = (mean, inverseDeviation)
    (self.runningMean, self.runningVariance) = (runningMean, runningVariance)
  }
}

/// The parameters of batch normalisation and its running estimates, all [C].
public struct BatchNormEstimates {
  /// The running estimates, and the trained parameters; all [C].
  public let mean, variance, scale, bias: Tensor

  public init(mean: Tensor, variance: Tensor, scale: Tensor, bias: Tensor) {
    (self.mean, self.variance, self.scale, self.bias) = (mean, variance, scale, bias)
  }
}

/// The operations that may need scratch memory of their own.
public enum WorkspaceOperation: Hashable, Sendable {
  case convolution(ConvolutionWork)
  case multiply(MatrixProduct)
  /// Both over x [rows, channels].
  case batchNormStatistics(rows: Int, channels: Int)
  case batchNormGradient(rows: Int, channels: Int)
  case crossEntropy(rows: Int)
  /// Both over so many elements.
  case updateLossScale(count: Int)
  case squaredNorm(count: Int)
}

/// How the gradient of batch normalisation finds out which values its ReLU let pass.
public enum ReLUMask {
  /// There was no ReLU.
  case none
  /// Where the result is positive.
  case result(Tensor)
  /// Where the normalised value is positive, which is worked out again from x: for a ReLU without a residual before it.
  case recomputed

  /// The tensor of ``result(_:)``.
  public var result: Tensor? { if case .result(let y) = self { y } else { nil } }
  /// Whether it is ``recomputed``.
  public var isRecomputed: Bool { if case .recomputed = self { true } else { false } }
}

/// What batch normalisation knows of each channel, all [C].
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

  /// A new tensor of undefined contents whose first dimension are the images of a batch; of the backend's ``scalar`` type unless
  /// another is named.
  public func batchTensor(_ shape: Shape, _ type: DataType? = nil) throws -> Tensor {
    let type = type ?? scalar
    return Tensor(
      shape: shape, type: type, storage: try allocate(byteCount: shape.count * type.byteCount, images: shape[0]))
  }

  /// A new tensor of undefined contents; of the backend's ``scalar`` type unless another is named.
  public func tensor(_ shape: Shape, _ type: DataType? = nil) throws -> Tensor {
    let type = type ?? scalar
    return Tensor(shape: shape, type: type, storage: try allocate(byteCount: shape.count * type.byteCount))
  }

  /// A new tensor with the host's elements; floating-point ones are converted to ``scalar`` or to the type that is named, int64 to
  /// int32.
  public func upload(_ host: HostTensor, as floatingPoint: DataType? = nil) throws -> Tensor {
    try upload(host, to: tensor(host.shape, type(of: host, floatingPoint)))
  }

  /// The same for a tensor whose first dimension are the images of a batch.
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

  /// The elements, after all work enqueued so far.
  public func download(_ tensor: Tensor) throws -> HostTensor {
    var bytes = [UInt8](repeating: 0, count: tensor.byteCount)
    try bytes.withUnsafeMutableBytes { try read(tensor, into: $0) }
    return HostTensor(shape: tensor.shape, type: tensor.type, bytes: bytes)
  }
}
