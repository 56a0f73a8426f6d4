import Compute
import Kernels
import OpenCL

/// Runs every operation as the project's own OpenCL kernels, and matrix products through CLBlast, on one device and one in-order
/// queue. Two runs of the same calls give the same bits.
public final class OpenCLBackend: ShardBackend {
  public let name: String
  public let scalar = DataType.float32
  public let alignment: Int
  /// What the device is, for reports and plans.
  public let device: Device
  /// What plans are made for. Its choice is set while a convolution is enqueued.
  var traits: DeviceTraits
  let queue: Queue
  private let deviceMemory: DeviceMemory
  private let programs: ProgramCache
  private let tuning: TuningTable
  /// What was chosen for the work met so far.
  private var choices: [ConvolutionWork: ConvolutionChoice?] = [:]
  /// While ``startProfile()`` is in force.
  private(set) var profiler: Profiler?

  public var memory: MemoryUse { deviceMemory.use }
  public var memoryLimit: Int { deviceMemory.limit }
  public var largestBlock: Int { deviceMemory.largestBlock }

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
    let disk = try device.platform.name == "Portable Computing Language" ? nil : programs
    var traits = try DeviceTraits(device, kernelClass: kernelClass)
    traits.math = math
    try self.init(
      device: device, profiling: profiling, traits: traits, tuning: tuning, programs: disk, separateBuffers: separateBuffers)
  }

  /// Fits the kernels to `traits` instead of what the device says, and takes them from the folder `kernels`, so that a test can try
  /// the choices for other devices, and kernels that are wrong.
  package init(
    device: Device, profiling: Bool = false, traits: DeviceTraits, tuning: TuningTable = TuningTable(),
    programs: DeviceCache? = nil, kernels: String? = nil, separateBuffers: Bool = false
  ) throws {
    self.tuning = tuning
    let context = try Context(device: device)
    self.device = device
    name = try device.name
    self.traits = traits
    // At least a cache line, so that slices do not share one.
    alignment = max(64, try device.baseAddressAlignment)
    canProfile = profiling
    queue = try Queue(context: context, profiling: profiling)
    deviceMemory = try DeviceMemory(queue: queue, granularity: alignment, isSeparate: separateBuffers)
    self.programs = ProgramCache(
      context: context, try KernelSources(device: device, folder: kernels), disk: programs, describing: profiling)
    if traits.math == .fast && traits.multipliesPairs {
      self.traits.multipliesPairs = try Self.multipliesPairs(device, kernels: kernels)
    }
  }

  // MARK: Memory

  public func allocate(byteCount: Int) throws -> any Storage { try deviceMemory.allocate(byteCount: byteCount) }

  /// Gives the blocks that no tensor uses back to the driver.
  public func releaseFreeMemory() { deviceMemory.drain() }

  public func slice(_ storage: any Storage, offset: Int, byteCount: Int) throws -> any Storage {
    guard let parent = storage as? DeviceStorage else {
      preconditionFailure("[slice] needs a whole storage of this backend")
    }
    precondition(offset % alignment == 0 && offset + byteCount <= parent.byteCount, "[slice] \(byteCount) bytes at \(offset)")
    return try DeviceSlice(of: parent, offset: offset, byteCount: byteCount)
  }

  public func write(_ bytes: UnsafeRawBufferPointer, to tensor: Tensor) throws {
    precondition(bytes.count == tensor.byteCount, "[write] \(bytes.count) bytes to \(tensor.shape) of \(tensor.type)")
    try queue.write(bytes, to: tensor.buffer)
  }

  public func read(_ tensor: Tensor, into bytes: UnsafeMutableRawBufferPointer) throws {
    precondition(bytes.count == tensor.byteCount, "[read] \(tensor.shape) of \(tensor.type) into \(bytes.count) bytes")
    try queue.read(tensor.buffer, into: bytes)
  }

  public func readLater(_ tensor: Tensor) throws -> any Readback {
    let readback = try DeviceReadback(tensor, queue: queue)
    try queue.flush()
    return readback
  }

  public func fill(_ tensor: Tensor, with value: Double) throws {
    let count = tensor.byteCount
    if count == 0 { return }
    let isProfiled = profiler != nil
    let event =
      switch tensor.type {
      case .float32: try queue.fill(tensor.buffer, with: Float(value), byteCount: count, event: isProfiled)
      case .int32: try queue.fill(tensor.buffer, with: Int32(value), byteCount: count, event: isProfiled)
      case .uint8: try queue.fill(tensor.buffer, with: UInt8(value), byteCount: count, event: isProfiled)
      case .float16: try queue.fill(tensor.buffer, with: Float16(value), byteCount: count, event: isProfiled)
      case .bfloat16: try queue.fill(tensor.buffer, with: Float(value).bfloat16, byteCount: count, event: isProfiled)
      case .float64, .int64: preconditionFailure("[fill] no kernel uses \(tensor.type)")
      }
    if let event { try profiler?.add(.command("fill"), bytes: count, event) }
  }

  public func copy(_ source: Tensor, into destination: Tensor) throws {
    precondition(
      source.type == destination.type && source.count == destination.count, "[copy] \(source.shape) → \(destination.shape)")
    if source.byteCount == 0 { return }
    let event = try queue.copy(
      source.buffer, to: destination.buffer, byteCount: source.byteCount, event: profiler != nil)
    if let event { try profiler?.add(.command("copy"), bytes: 2 * source.byteCount, event) }
  }

  public func flush() throws { try queue.flush() }

  public func finish() throws { try queue.finish() }

  // MARK: Choices

  func choice(for work: ConvolutionWork) -> ConvolutionChoice? {
    let work = work.withoutStatistics
    if let choice = choices[work] { return choice }
    let choice = tuning[work, traits.math]?.choice
    choices[work] = .some(choice)
    return choice
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
    let kernel = try programs.kernel(specialisation)
    try kernel.set(arguments)
    let isAlone = groupsOfOne || traits.kernelClass == .registerTiled
    let local = local ?? (isAlone ? [Int](repeating: 1, count: global.count) : nil)
    let event = try queue.enqueue(kernel, global: global, local: local, event: profiler != nil)
    if let profiler, let event {
      try profiler.add(.kernel(specialisation), bytes: try bytes() ?? kernel.traffic(arguments), event)
    }
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
    min(traits.groupLimit, try programs.kernel(specialisation).maxWorkGroupSize)
  }

  // MARK: Profile

  /// Whether the device was opened for ``startProfile()``.
  public let canProfile: Bool

  /// Starts to time every command. Needs `profiling` at creation.
  public func startProfile() {
    precondition(canProfile, "[startProfile] the backend was made without profiling")
    profiler = Profiler()
  }

  /// Waits for the device and ends the profile.
  public func endProfile() throws -> Profile {
    try finish()
    defer { profiler = nil }
    return try profiler?.result() ?? Profile()
  }
}
