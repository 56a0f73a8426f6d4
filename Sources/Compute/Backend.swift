/// Operations that a residual network needs, on one device. They are declared by family in the files of `Compute/Operations`,
/// each with its ``OperationContract``.
///
/// The caller allocates every result (`into:`); a backend only writes. Operations may be asynchronous: they take effect in the
/// order of the calls, and only ``read(_:into:)``, ``finish()`` and a ``Readback`` wait.
///
/// Floating-point tensors have the backend's ``scalar`` type. A backend may also accept activations and their gradients (tensors
/// with at least one pixel per image and channel, such as [N,H,W,C]) as float16 or bfloat16. All activations of one call must
/// have the same type.
///
/// Shapes are the caller's duty: a mismatch is a programming error and stops the program with the names of the operation and the
/// operand. Thrown errors come from the device: out of memory, a kernel that does not build, a lost device.
///
/// Destinations must not overlap sources unless an operation says that they may.
///
/// A backend must be used from one thread.
///
/// ```swift
/// let backend = try Device.best.open()
/// let a = try backend.upload(HostTensor([1, 2, 3, 4] as [Float], shape: [2, 2]))
/// let b = try backend.tensor([2, 2])
/// try backend.add(a, a, relu: false, into: b)
/// print(try backend.download(b).floats)  // [2.0, 4.0, 6.0, 8.0]
/// ```
public protocol Backend:
  AnyObject, FillAndCopy, ConvolutionOperations, BatchNormOperations, PoolingOperations, LinearOperations, ElementwiseOperations,
  LossOperations, OptimizerOperations, GuardOperations, BatchOperations
{
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
  /// Gives memory that no tensor uses back to the driver. Blocks that are cut for other sizes would otherwise stay.
  func releaseFreeMemory()
  /// Devices that share the work, each with its own memory. A single device lists only itself.
  var devices: [any Backend] { get }
  /// Returns this backend with another in place of each of its ``devices``, to which the devices' shares of the work go.
  func replacingDevices(by replacement: (any Backend) -> any ShardBackend) -> any Backend

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
  /// Submits everything enqueued so far to the device.
  func flush() throws
  /// Waits until everything enqueued so far is done.
  func finish() throws
  /// Returns the sizes of the blocks that an operation borrows from the pool while it is enqueued, so that a dry run can count
  /// them.
  func workspaceByteCounts(_ operation: WorkspaceOperation) -> [Int]
}

/// A copy to the host that is in progress.
///
/// ```swift
/// let sums = try backend.tensor([3])
/// try backend.fill(sums, with: 1)
/// let later = try backend.readLater(sums)
/// print(try later.wait().floats)  // [1.0, 1.0, 1.0]
/// ```
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
  /// Check of running statistics and, unless nil, of gradients.
  case guardStep(statistics: Int, gradients: Int?)
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

  public func releaseFreeMemory() {}

  public func replacingDevices(by replacement: (any Backend) -> any ShardBackend) -> any Backend { replacement(self) }

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
