import COpenCL

/// Owns a `cl_kernel`: one function of a program and the arguments set on it.
public final class Kernel {
  let handle: cl_kernel
  public let name: String

  public init(_ name: String, in program: Program) throws(OpenCLError) {
    handle = try OpenCLError.create("clCreateKernel", detail: name) { clCreateKernel(program.handle, name, $0) }
    self.name = name
  }

  deinit { clReleaseKernel(handle) }

  /// A kernel's argument.
  public enum Argument {
    case buffer(Buffer)
    case int(Int)
    case float(Float)
    /// Bytes of local memory for a `__local` pointer.
    case local(Int)
  }

  /// Sets all arguments, in order.
  /// - Throws: CL_INVALID_ARG_VALUE for an `.int` that does not fit the kernel's 32 bits.
  public func set(_ arguments: [Argument]) throws(OpenCLError) {
    for (index, argument) in arguments.enumerated() {
      let code: cl_int
      switch argument {
      case .buffer(let buffer):
        var memory: cl_mem? = buffer.handle
        code = clSetKernelArg(handle, cl_uint(index), MemoryLayout<cl_mem>.size, &memory)
      case .int(let value):
        guard var word = Int32(exactly: value) else {
          throw OpenCLError(
            call: "clSetKernelArg", code: CL_INVALID_ARG_VALUE,
            detail: "kernel \(name) counts to 2^31, not to \(value): use a smaller --batch-size or smaller images")
        }
        code = clSetKernelArg(handle, cl_uint(index), 4, &word)
      case .float(var value):
        code = clSetKernelArg(handle, cl_uint(index), 4, &value)
      case .local(let bytes):
        code = clSetKernelArg(handle, cl_uint(index), bytes, nil)
      }
      try OpenCLError.check(code, "clSetKernelArg", detail: "kernel \(name), argument \(index)")
    }
  }
}
