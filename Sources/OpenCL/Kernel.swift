import COpenCL

/// Owns a `cl_kernel`: one function of a program and the arguments set on it.
public final class Kernel {
  let handle: cl_kernel
  public let name: String
  private let device: Device
  /// Number of the arguments that the kernel takes.
  private var argumentCount = 0
  private var constants: [Int: Bool] = [:]
  private var knownGroupLimit: Int?

  public init(_ name: String, in program: Program) throws(OpenCLError) {
    let handle = try OpenCLError.create("clCreateKernel", detail: name) { clCreateKernel(program.handle, name, $0) }
    (self.handle, self.name, device) = (handle, name, program.device)
    let count = try Info.value("clGetKernelInfo", CL_KERNEL_NUM_ARGS, initial: cl_uint(0)) {
      clGetKernelInfo(handle, $0, $1, $2, $3)
    }
    argumentCount = Int(count)
  }

  deinit { clReleaseKernel(handle) }

  /// Argument of a kernel.
  public enum Argument {
    case buffer(Buffer)
    case int(Int)
    case float(Float)
    /// Structure that the kernel takes by value, as C lays it out.
    case structure(any BitwiseCopyable)
    /// Bytes of local memory for a `__local` pointer.
    case local(Int)
  }

  /// Largest work-group size of this kernel. Its registers may make it smaller than the device's limit. The driver is asked once.
  public var maxWorkGroupSize: Int {
    get throws(OpenCLError) {
      if let known = knownGroupLimit { return known }
      let limit = try Info.value("clGetKernelWorkGroupInfo", CL_KERNEL_WORK_GROUP_SIZE, initial: 0) {
        clGetKernelWorkGroupInfo(handle, device.id, $0, $1, $2, $3)
      }
      knownGroupLimit = limit
      return limit
    }
  }

  /// Returns the bytes that one launch moves if it passes once over each buffer argument. `const` buffers are read, other buffers
  /// are written, and a buffer passed as both counts twice.
  /// - Throws: CL_KERNEL_ARG_INFO_NOT_AVAILABLE for a program built without `-cl-kernel-arg-info`.
  public func traffic(_ arguments: [Argument]) throws(OpenCLError) -> Int {
    var counted: Set<BufferUse> = []
    var bytes = 0
    for (index, argument) in arguments.enumerated() {
      guard case .buffer(let buffer) = argument else { continue }
      if counted.insert(BufferUse(buffer: buffer.handle, isConstant: try isConstant(index))).inserted {
        bytes += buffer.byteCount
      }
    }
    return bytes
  }

  private struct BufferUse: Hashable {
    let buffer: cl_mem?
    let isConstant: Bool
  }

  /// Whether the kernel only reads through a pointer argument. The driver is asked once.
  private func isConstant(_ index: Int) throws(OpenCLError) -> Bool {
    if let known = constants[index] { return known }
    let qualifiers = try Info.value(
      "clGetKernelArgInfo", CL_KERNEL_ARG_TYPE_QUALIFIER, initial: cl_kernel_arg_type_qualifier(0)
    ) { clGetKernelArgInfo(handle, cl_uint(index), $0, $1, $2, $3) }
    let isConstant = qualifiers & cl_kernel_arg_type_qualifier(CL_KERNEL_ARG_TYPE_CONST) != 0
    constants[index] = isConstant
    return isConstant
  }

  /// Returns a number as kernels take it.
  /// - Throws: CL_INVALID_ARG_VALUE if it does not fit into 32 bits.
  public static func int32(_ value: Int) throws(OpenCLError) -> Int32 {
    guard let word = Int32(exactly: value) else {
      throw OpenCLError(
        call: "clSetKernelArg", code: CL_INVALID_ARG_VALUE,
        detail: "kernels count to 2^31, not to \(value): fewer or smaller images would do")
    }
    return word
  }

  /// Sets all arguments, in order. A structure must be the one that the kernel declares: some drivers, such as PoCL, do not
  /// compare sizes.
  /// - Throws: CL_INVALID_KERNEL_ARGS for another number of arguments than the kernel takes; CL_INVALID_ARG_VALUE for an `.int`
  ///   that does not fit into 32 bits.
  public func set(_ arguments: [Argument]) throws(OpenCLError) {
    guard arguments.count == argumentCount else {
      throw OpenCLError(
        call: "clSetKernelArg", code: CL_INVALID_KERNEL_ARGS,
        detail: "kernel \(name) takes \(argumentCount) arguments, not \(arguments.count)")
    }
    for (index, argument) in arguments.enumerated() {
      let code: cl_int
      switch argument {
      case .buffer(let buffer):
        var memory: cl_mem? = buffer.handle
        code = clSetKernelArg(handle, cl_uint(index), MemoryLayout<cl_mem>.size, &memory)
      case .int(let value):
        var word = try Self.int32(value)
        code = clSetKernelArg(handle, cl_uint(index), 4, &word)
      case .float(var value):
        code = clSetKernelArg(handle, cl_uint(index), 4, &value)
      case .structure(let value):
        code = set(value, at: index)
      case .local(let bytes):
        code = clSetKernelArg(handle, cl_uint(index), bytes, nil)
      }
      try OpenCLError.check(code, "clSetKernelArg", detail: "kernel \(name), argument \(index)")
    }
  }

  private func set<Value: BitwiseCopyable>(_ value: Value, at index: Int) -> cl_int {
    withUnsafeBytes(of: value) { clSetKernelArg(handle, cl_uint(index), $0.count, $0.baseAddress) }
  }
}
