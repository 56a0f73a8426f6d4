import Compute
import OpenCL

/// Runs every operation on one device and one in-order queue, with the project's own OpenCL kernels, and matrix products through
/// CLBlast. Two runs of the same calls give the same bits.
public final class OpenCLBackend: ShardBackend {
  public let name: String
  public let scalar = DataType.float32
  public let alignment: Int
  /// Properties of the device to which kernels are fitted.
  let traits: DeviceTraits
  private let executor: any Executor
  package let tuning: TuningTable
  let planner: ConvolutionPlanner
  /// Choices for the work seen so far.
  var choices: [PlannedWork: ConvolutionChoice?] = [:]
  /// Plans that follow these choices and whose kernels are known to build, and to compute the right result if ``checks`` is set.
  var plansInUse: [PlannedWork: PassPlan] = [:]
  /// Convolutions that another algorithm computes because a kernel of the preferred one does not build, or is wrong.
  public internal(set) var fallbacks: [ConvolutionFallback] = []
  /// Whether a convolution whose kernels do not build is computed by another algorithm. If not, it is an error, which the tuner
  /// needs.
  package var fallsBack = true
  /// Plans of convolutions that were found to be right. Each other plan is checked on its first use. Nil to use plans without a
  /// check, as tests, `resnet verify` and the tuner do, which compare all results themselves.
  package var checks: CheckedPlans?
  /// Called with each of ``fallbacks`` when it is found.
  public var onFallback: ((ConvolutionFallback) -> Void)?

  public var memory: MemoryUse { executor.memory }
  public var memoryLimit: Int { executor.memoryLimit }
  public var memoryAdvice: String? { executor.memoryAdvice }
  public var largestBlock: Int { executor.largestBlock }

  /// - Parameters:
  ///   - device: device to run on.
  ///   - math: required exactness of the factors of convolutions.
  ///   - profiling: makes ``startProfile()`` possible, at a small cost.
  ///   - tuning: choices of the tuner; plans choose by themselves for other work.
  ///   - programs: cache of compiled programs, used if the driver does not keep them itself.
  /// - Throws: an `OpenCLError` if the driver cannot create a context or a queue.
  public convenience init(
    device: Device, math: MathMode = .exact, profiling: Bool = false, tuning: TuningTable = TuningTable(),
    programs: DeviceCache? = nil
  ) throws {
    try self.init(
      device: device, math: math, kernelClass: nil, separateBuffers: false, profiling: profiling, tuning: tuning,
      programs: programs)
  }

  /// Creates a backend for checks, as in `resnet verify` and in tests.
  /// - Parameters:
  ///   - kernelClass: class of the kernels to use; nil for the one that suits the device.
  ///   - separateBuffers: whether every tensor gets its own buffer of exactly its size, so that memory checkers see where it
  ///     ends.
  package convenience init(
    device: Device, math: MathMode, kernelClass: KernelClass?, separateBuffers: Bool, profiling: Bool, tuning: TuningTable,
    programs: DeviceCache?
  ) throws {
    let disk = try DriverQuirk.keepsKernels.applies(to: device) ? nil : programs
    var traits = try DeviceTraits(device, kernelClass: kernelClass)
    traits.math = math
    try self.init(
      device: device, profiling: profiling, traits: traits, tuning: tuning, programs: disk, separateBuffers: separateBuffers)
  }

  /// Creates a backend that fits the kernels to `traits` instead of the device's own traits and reads them from the folder
  /// `kernels`. With it a test can try the choices for other devices, and kernels that are wrong.
  package convenience init(
    device: Device, profiling: Bool = false, traits: DeviceTraits, tuning: TuningTable = TuningTable(),
    programs: DeviceCache? = nil, kernels: String? = nil, separateBuffers: Bool = false
  ) throws {
    var traits = traits
    if traits.math == .fast && traits.multipliesPairs {
      traits.multipliesPairs = try Self.multipliesPairs(device, kernels: kernels)
    }
    // At least a cache line, so that slices do not share one.
    let alignment = max(64, try device.baseAddressAlignment)
    let executor = try DeviceExecutor(
      device, traits, KernelSources(device: device, folder: kernels), granularity: alignment, disk: programs,
      profiling: profiling, separateBuffers: separateBuffers)
    if traits.math == .fast, traits.matrixInstructions == .ptx, try !Self.buildsMatrixInstructions(executor, traits) {
      traits.matrixInstructions = .none
    }
    self.init(try device.name, ConvolutionPlanner(traits), executor, alignment: alignment, tuning: tuning)
  }

  /// - Parameters:
  ///   - planner: plans the convolutions, and knows the device.
  ///   - executor: destination of the commands.
  init(
    _ name: String, _ planner: ConvolutionPlanner, _ executor: any Executor, alignment: Int,
    tuning: TuningTable = TuningTable()
  ) {
    (self.name, self.planner, self.executor, self.alignment, self.tuning) = (name, planner, executor, alignment, tuning)
    traits = planner.traits
  }

  /// Device that executes the commands; nil if kernels are only listed.
  var deviceExecutor: DeviceExecutor? { executor as? DeviceExecutor }

  /// Whether commands go to a list that includes the kernels of trials.
  var listsTrials: Bool { (executor as? KernelLister)?.listsTrials == true }

  /// Stops the program if the operands of a call break its contract.
  func check(_ operation: OperationContract) { operation.check(scalar: scalar, acceptsHalf: true) }

  // MARK: Memory

  public func allocate(byteCount: Int) throws -> any Storage { try executor.allocate(byteCount: byteCount) }

  public func releaseFreeMemory() { executor.releaseFreeMemory() }

  public func slice(_ storage: any Storage, offset: Int, byteCount: Int) throws -> any Storage {
    precondition(
      offset >= 0 && offset % alignment == 0 && byteCount >= 0 && offset + byteCount <= storage.byteCount,
      "[slice] \(byteCount) bytes from \(offset) of \(storage.byteCount), alignment \(alignment)")
    return try DeviceSlice(of: storage, offset: offset, byteCount: byteCount)
  }

  public func write(_ bytes: UnsafeRawBufferPointer, to tensor: Tensor) throws {
    precondition(bytes.count == tensor.byteCount, "[write] \(bytes.count) bytes to \(tensor.shape) of \(tensor.type)")
    try executor.write(bytes, to: tensor)
  }

  public func read(_ tensor: Tensor, into bytes: UnsafeMutableRawBufferPointer) throws {
    precondition(bytes.count == tensor.byteCount, "[read] \(tensor.shape) of \(tensor.type) into \(bytes.count) bytes")
    try executor.read(tensor, into: bytes)
  }

  public func readLater(_ tensor: Tensor) throws -> any Readback { try executor.readLater(tensor) }

  public func fill(_ tensor: Tensor, with value: Double) throws {
    if tensor.byteCount > 0 { try executor.fill(tensor, with: value) }
  }

  public func copy(_ source: Tensor, into destination: Tensor) throws {
    check(.copy(source, into: destination))
    if source.byteCount > 0 { try executor.copy(source, into: destination) }
  }

  public func flush() throws { try executor.flush() }

  public func finish() throws { try executor.finish() }

  // MARK: Launching

  /// Enqueues a kernel. If the launch has no work-group size, the class of kernels decides about it. With register-tiled kernels
  /// every work-item is its own work-group, because each does a long piece of work and work-groups are distributed over cores.
  /// Otherwise the driver chooses.
  /// - Parameter bytes: bytes that the kernel reads and writes; nil counts each of its buffers once.
  func launch(_ launch: KernelLaunch, moving bytes: @autoclosure () -> Int? = nil, _ arguments: [Kernel.Argument]) throws {
    let isAlone = traits.kernelClass == .registerTiled
    let local = launch.local ?? (isAlone ? [Int](repeating: 1, count: launch.global.count) : nil)
    try executor.launch(launch.kernel, global: launch.global, local: local, moving: bytes(), arguments)
  }

  /// Enqueues a kernel whose work-group size the class of kernels decides about.
  func launch(
    _ kernel: KernelSpecialization, global: [Int], moving bytes: @autoclosure () -> Int? = nil, _ arguments: [Kernel.Argument]
  ) throws {
    try launch(KernelLaunch(kernel, global: global), moving: bytes(), arguments)
  }

  /// Enqueues a kernel that includes `group.h`.
  func launch(
    _ kernel: KernelSpecialization, on grid: WorkGroup.Grid, moving bytes: @autoclosure () -> Int? = nil,
    _ arguments: [Kernel.Argument]
  ) throws {
    try launch(KernelLaunch(kernel, on: grid), moving: bytes(), arguments)
  }

  /// Returns the largest work-group size of this kernel.
  func maxWorkGroupSize(of kernel: KernelSpecialization) throws -> Int {
    min(traits.groupLimit, traits.largestGroup, try executor.maxWorkGroupSize(of: kernel))
  }

  /// Computes c (+)= a·b by CLBlast.
  func multiplyByCLBlast(_ a: Tensor, _ b: Tensor, _ product: MatrixProduct, accumulate: Bool = false, into c: Tensor) throws {
    try executor.multiplyByCLBlast(a, b, product, accumulate: accumulate, into: c)
  }

  // MARK: Profile

  /// Whether the device was opened with profiling, which ``startProfile()`` needs.
  public var canProfile: Bool { deviceExecutor?.canProfile ?? false }

  /// Starts to time every command. Needs `profiling` at creation.
  public func startProfile() {
    precondition(canProfile, "[startProfile] the backend was made without profiling")
    deviceExecutor?.startProfile()
  }

  /// Waits for the device and ends the profile.
  public func endProfile() throws -> Profile { try deviceExecutor?.endProfile() ?? Profile() }
}
