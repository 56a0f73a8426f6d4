import CCLBlast
import Compute
import OpenCL

/// Executes commands on one device, through one in-order queue.
final class DeviceExecutor: Executor {
  /// Whether profiles can be taken. During a profile every command has an event.
  let canProfile: Bool
  private let device: Device
  private let traits: DeviceTraits
  private let queue: Queue
  private let deviceMemory: DeviceMemory
  private let programs: ProgramCache
  /// Profiler of the current profile; nil if there is none.
  private var profiler: Profiler?

  /// - Parameters:
  ///   - granularity: slices begin at multiples of this number of bytes.
  ///   - disk: cache of compiled programs; nil if the driver keeps them itself.
  ///   - separateBuffers: whether every tensor gets its own buffer of exactly its size, so that memory checkers see where it
  ///     ends.
  /// - Throws: an `OpenCLError` if the driver cannot create a context or a queue.
  init(
    _ device: Device, _ traits: DeviceTraits, _ sources: KernelSources, granularity: Int, disk: DeviceCache?, profiling: Bool,
    separateBuffers: Bool
  ) throws {
    (self.device, self.traits, canProfile) = (device, traits, profiling)
    let context = try Context(device: device)
    queue = try Queue(context: context, profiling: profiling)
    deviceMemory = try DeviceMemory(queue: queue, granularity: granularity, isSeparate: separateBuffers)
    programs = ProgramCache(context: context, sources, disk: disk, describing: profiling)
  }

  // MARK: Memory

  var memory: MemoryUse { deviceMemory.use }
  var memoryLimit: Int { deviceMemory.limit }
  var largestBlock: Int { deviceMemory.largestBlock }
  var memoryAdvice: String? { deviceMemory.advice }

  func allocate(byteCount: Int) throws -> DeviceStorage { try deviceMemory.allocate(byteCount: byteCount) }

  func releaseFreeMemory() { deviceMemory.drain() }

  /// Runs `body`, whose tensors take no part in the pool. They must not outlive it.
  func outsidePool<Result>(_ body: () throws -> Result) rethrows -> Result { try deviceMemory.separately(body) }

  func write(_ bytes: UnsafeRawBufferPointer, to tensor: Tensor) throws { try queue.write(bytes, to: tensor.buffer) }

  func read(_ tensor: Tensor, into bytes: UnsafeMutableRawBufferPointer) throws { try queue.read(tensor.buffer, into: bytes) }

  func readLater(_ tensor: Tensor) throws -> any Readback {
    let readback = try DeviceReadback(tensor, queue: queue)
    try queue.flush()
    return readback
  }

  func fill(_ tensor: Tensor, with value: Double) throws {
    if onlyBuilds != nil { return }
    let count = tensor.byteCount
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

  func copy(_ source: Tensor, into destination: Tensor) throws {
    if onlyBuilds != nil { return }
    let event = try queue.copy(
      source.buffer, to: destination.buffer, byteCount: source.byteCount, event: profiler != nil)
    if let event { try profiler?.add(.command("copy"), bytes: 2 * source.byteCount, event) }
  }

  func flush() throws { try queue.flush() }

  func finish() throws { try queue.finish() }

  // MARK: Kernels

  /// Callback for each kernel before it is built. While it is set, the first launch of each kernel is waited for, because some
  /// drivers build only then.
  var onBuild: ((KernelBuild) -> Void)?
  private var announced: Set<KernelSpecialization> = []
  private var launched: Set<KernelSpecialization> = []
  /// The only kernels to build and to launch, once each; fills and copies are then left out. Nil for all kernels.
  var onlyBuilds: Set<KernelBuild>?

  /// Builds a kernel that will be launched.
  /// - Throws: ``KernelBuildFailure`` if the driver's compiler refuses it.
  func build(_ specialization: KernelSpecialization) throws {
    if let onlyBuilds, !onlyBuilds.contains(KernelBuild(specialization)) { return }
    announce(specialization)
    _ = try programs.kernel(specialization)
  }

  func maxWorkGroupSize(of specialization: KernelSpecialization) throws -> Int {
    announce(specialization)
    return try programs.kernel(specialization).maxWorkGroupSize
  }

  /// Reports a kernel, once, before the driver builds it. If the driver then ends the process, the kernel's name is known.
  private func announce(_ specialization: KernelSpecialization) {
    guard let onBuild, announced.insert(specialization).inserted else { return }
    let build = KernelBuild(specialization)
    if onlyBuilds?.contains(build) ?? true { onBuild(build) }
  }

  func launch(
    _ specialization: KernelSpecialization, global: [Int], local: [Int]?, moving bytes: @autoclosure () -> Int?,
    _ arguments: [Kernel.Argument]
  ) throws {
    let isFirst = onBuild != nil && launched.insert(specialization).inserted
    if let onlyBuilds, !isFirst || !onlyBuilds.contains(KernelBuild(specialization)) { return }
    if isFirst { announce(specialization) }
    let kernel: Kernel
    do { kernel = try programs.kernel(specialization) } catch let refusal as KernelBuildFailure { throw refusal.failure }
    try kernel.set(arguments)
    let event = try queue.enqueue(kernel, global: global, local: local, event: profiler != nil)
    if let profiler, let event {
      try profiler.add(.kernel(specialization), bytes: try bytes() ?? kernel.traffic(arguments), event)
    }
    if isFirst { try queue.finish() }
  }

  /// Multiplies through CLBlast, whose scratch memory is not part of the pool.
  func multiplyByCLBlast(_ a: Tensor, _ b: Tensor, _ product: MatrixProduct, accumulate: Bool, into c: Tensor) throws {
    try CLBlastParameters.prepare(device, traits)
    let (m, n, k) = (product.m, product.n, product.k)
    // CLBlast runs several kernels and returns the event of the last one.
    let before = try profiler == nil ? nil : queue.marker()
    var handle: cl_command_queue? = queue.handle
    var event: cl_event?
    let status = withUnsafeMutablePointer(to: &event) {
      CLBlastSgemm(
        CLBlastLayoutRowMajor, product.transposedA ? CLBlastTransposeYes : CLBlastTransposeNo,
        product.transposedB ? CLBlastTransposeYes : CLBlastTransposeNo, m, n, k, 1, a.buffer.handle, 0,
        product.transposedA ? m : k,
        b.buffer.handle, 0, product.transposedB ? k : n, accumulate ? 1 : 0, c.buffer.handle, 0, n, &handle,
        profiler == nil ? nil : $0)
    }
    guard status == CLBlastSuccess else {
      throw OpenCLError(call: "CLBlastSgemm", code: status.rawValue, detail: "m \(m), n \(n), k \(k)")
    }
    if let event {
      try profiler?.add(
        .command("CLBlastSgemm"), bytes: a.byteCount + b.byteCount + c.byteCount * (accumulate ? 2 : 1), after: before,
        Event(handle: event))
    }
  }

  // MARK: Profile

  func startProfile() { profiler = Profiler() }

  /// Waits for the device and ends the profile.
  func endProfile() throws -> Profile {
    try finish()
    defer { profiler = nil }
    return try profiler?.result() ?? Profile()
  }
}
