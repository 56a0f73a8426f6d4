import Compute
import Kernels
import OpenCL

/// Runs every operation as the project's own OpenCL kernels, and matrix products through CLBlast, on one device and one in-order
/// queue. Two runs of the same calls give the same bits.
public final class OpenCLBackend: ShardBackend {
  public let name: String
  public let scalar = DataType.float32
  public let alignment: Int
  /// The device as plans see it. Its choice is set while a convolution is enqueued.
  var traits: DeviceTraits
  private let executor: any Executor
  let tuning: TuningTable
  /// Choices for the work met so far.
  private var choices: [ConvolutionWork: ConvolutionChoice?] = [:]
  /// Work whose kernels are known to build.
  var checked: Set<CheckedWork> = []
  /// Convolutions that another algorithm computes, as a kernel of the wanted one does not build.
  public internal(set) var fallbacks: [ConvolutionFallback] = []
  /// Whether a convolution whose kernels do not build is computed in another way, or is an error: the tuner wants to know.
  package var fallsBack = true
  /// Told of each of ``fallbacks`` as it is found.
  public var onFallback: ((ConvolutionFallback) -> Void)?

  public var memory: MemoryUse { executor.memory }
  public var memoryLimit: Int { executor.memoryLimit }
  public var memoryAdvice: String? { executor.memoryAdvice }
  public var largestBlock: Int { executor.largestBlock }

  /// - Parameters:
  ///   - device: where to run.
  ///   - math: how exact the factors of convolutions must be.
  ///   - profiling: makes ``startProfile()`` possible, at a small cost.
  ///   - tuning: what the tuner has chosen; other work is done as the plans choose by themselves.
  ///   - programs: where compiled programs are kept, if the driver does not do so itself.
  /// - Throws: an `OpenCLError` if the driver cannot make a context or a queue.
  public convenience init(
    device: Device, math: MathMode = .exact, profiling: Bool = false, tuning: TuningTable = TuningTable(),
    programs: DeviceCache? = nil
  ) throws {
    try self.init(
      device: device, math: math, kernelClass: nil, separateBuffers: false, profiling: profiling, tuning: tuning,
      programs: programs)
  }

  /// For checks.
  /// - Parameters:
  ///   - kernelClass: which kernels serve; nil for those that suit the device.
  ///   - separateBuffers: gives every tensor a buffer of its own, of exactly its size, so that checkers of memory see where it ends.
  package convenience init(
    device: Device, math: MathMode, kernelClass: KernelClass?, separateBuffers: Bool, profiling: Bool, tuning: TuningTable,
    programs: DeviceCache?
  ) throws {
    // PoCL keeps every kernel that it has compiled. Asked for a binary, it compiles all the others of the file too.
    let disk = try device.platform.isPoCL ? nil : programs
    var traits = try DeviceTraits(device, kernelClass: kernelClass)
    traits.math = math
    try self.init(
      device: device, profiling: profiling, traits: traits, tuning: tuning, programs: disk, separateBuffers: separateBuffers)
  }

  /// Fits the kernels to `traits` instead of what the device says, and takes them from the folder `kernels`, so that a test can try
  /// the choices for other devices, and kernels that are wrong.
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
    self.init(try device.name, traits, executor, alignment: alignment, tuning: tuning)
  }

  /// - Parameter executor: where commands go.
  init(
    _ name: String, _ traits: DeviceTraits, _ executor: any Executor, alignment: Int, tuning: TuningTable = TuningTable()
  ) {
    (self.name, self.traits, self.executor, self.alignment, self.tuning) = (name, traits, executor, alignment, tuning)
  }

  /// The device behind; nil where kernels are only listed.
  var deviceExecutor: DeviceExecutor? { executor as? DeviceExecutor }

  /// Whether commands go to a list that has the kernels of trials, too.
  var listsTrials: Bool { (executor as? KernelLister)?.listsTrials == true }

  // MARK: Memory

  public func allocate(byteCount: Int) throws -> any Storage { try executor.allocate(byteCount: byteCount) }

  /// Gives the blocks that no tensor uses back to the driver.
  public func releaseFreeMemory() { executor.releaseFreeMemory() }

  public func slice(_ storage: any Storage, offset: Int, byteCount: Int) throws -> any Storage {
    guard let parent = storage as? DeviceStorage else {
      preconditionFailure("[slice] needs a whole storage of this backend")
    }
    precondition(offset % alignment == 0 && offset + byteCount <= parent.byteCount, "[slice] \(byteCount) bytes at \(offset)")
    return try DeviceSlice(of: parent, offset: offset, byteCount: byteCount)
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
    precondition(
      source.type == destination.type && source.count == destination.count, "[copy] \(source.shape) → \(destination.shape)")
    if source.byteCount > 0 { try executor.copy(source, into: destination) }
  }

  public func flush() throws { try executor.flush() }

  public func finish() throws { try executor.finish() }

  // MARK: Choices

  func choice(for work: ConvolutionWork) -> ConvolutionChoice? {
    let work = work.withoutStatistics
    if let choice = choices[work] { return choice }
    let choice = tuning[work, traits.math]?.choice
    choices[work] = .some(choice)
    return choice
  }

  /// Plans that `body` makes follow what was chosen for this work, whose kernels are known to build.
  func executing<Result>(_ work: ConvolutionWork, _ body: () throws -> Result) throws -> Result {
    try requireKernels(for: work)
    return try planning(work, body)
  }

  /// Plans that `body` makes follow what was chosen for this work.
  func planning<Result>(_ work: ConvolutionWork, _ body: () throws -> Result) rethrows -> Result {
    try planning(by: choice(for: work), body)
  }

  /// Plans that `body` makes follow this choice.
  func planning<Result>(by choice: ConvolutionChoice?, _ body: () throws -> Result) rethrows -> Result {
    let before = traits.choice
    traits.choice = choice
    defer { traits.choice = before }
    return try body()
  }

  /// Makes this the way to do the work; nil for the built-in one.
  package func choose(_ choice: ConvolutionChoice?, for work: ConvolutionWork) { choices[work] = .some(choice) }

  // MARK: Launching

  /// Enqueues a kernel. Where `local` does not say how many work-items make a group: with register-tiled kernels every work-item is its
  /// own work-group, because each does a long piece of work and groups are what is spread over cores; else the driver chooses, unless the
  /// kernel demands groups of one.
  /// - Parameter bytes: what the kernel reads and writes, where that is not each of its buffers once.
  func launch(
    _ specialisation: Specialisation, global: [Int], local: [Int]? = nil, groupsOfOne: Bool = false,
    moving bytes: @autoclosure () -> Int? = nil, _ arguments: [Kernel.Argument]
  ) throws {
    let isAlone = groupsOfOne || traits.kernelClass == .registerTiled
    let local = local ?? (isAlone ? [Int](repeating: 1, count: global.count) : nil)
    try executor.launch(specialisation, global: global, local: local, moving: bytes(), arguments)
  }

  /// Enqueues a kernel that includes `group.h`.
  func launch(
    _ specialisation: Specialisation, on grid: WorkGroup.Grid, moving bytes: @autoclosure () -> Int? = nil,
    _ arguments: [Kernel.Argument]
  ) throws {
    var specialisation = specialisation
    specialisation.add(grid.group.defines)
    try launch(specialisation, global: grid.global, local: grid.local, moving: bytes(), arguments)
  }

  /// Work-items that a work-group of this kernel may have.
  func maxWorkGroupSize(of specialisation: Specialisation) throws -> Int {
    min(traits.groupLimit, traits.largestGroup, try executor.maxWorkGroupSize(of: specialisation))
  }

  /// c (+)= a·b by CLBlast.
  func multiplyByCLBlast(_ a: Tensor, _ b: Tensor, _ product: MatrixProduct, accumulate: Bool = false, into c: Tensor) throws {
    try executor.multiplyByCLBlast(a, b, product, accumulate: accumulate, into: c)
  }

  // MARK: Profile

  /// Whether the device was opened for ``startProfile()``.
  public var canProfile: Bool { deviceExecutor?.canProfile ?? false }

  /// Starts to time every command. Needs `profiling` at creation.
  public func startProfile() {
    precondition(canProfile, "[startProfile] the backend was made without profiling")
    deviceExecutor?.startProfile()
  }

  /// Waits for the device and ends the profile.
  public func endProfile() throws -> Profile { try deviceExecutor?.endProfile() ?? Profile() }
}
