import COpenCL

/// Owns a built `cl_program`.
public final class Program {
  let handle: cl_program
  let device: Device

  /// Compiles OpenCL C for the context's device.
  /// - Throws: an error whose detail is the compiler's log, if the source does not build.
  public init(context: Context, source: String, options: String) throws(OpenCLError) {
    let program = try OpenCLError.create("clCreateProgramWithSource") { code in
      source.withCString { text in
        var text: UnsafePointer<CChar>? = text
        return clCreateProgramWithSource(context.handle, 1, &text, nil, code)
      }
    }
    (handle, device) = (program, context.device)
    // If `init` throws when all stored properties are set, Swift runs `deinit`, which releases the program.
    try build(options)
  }

  /// Loads a binary that ``binary()`` returned, from the same device and driver.
  /// - Throws: an error if the driver does not accept the binary.
  public init(context: Context, binary: [UInt8], options: String) throws(OpenCLError) {
    var status: cl_int = CL_SUCCESS
    let program = try OpenCLError.create("clCreateProgramWithBinary", detail: "\(binary.count) bytes") { code in
      binary.withUnsafeBufferPointer { bytes in
        var id: cl_device_id? = context.device.id
        var (size, base) = (bytes.count, bytes.baseAddress)
        return clCreateProgramWithBinary(context.handle, 1, &id, &size, &base, &status, code)
      }
    }
    (handle, device) = (program, context.device)
    try OpenCLError.check(status, "clCreateProgramWithBinary", detail: "\(binary.count) bytes")
    try build(options)
  }

  deinit { clReleaseProgram(handle) }

  private func build(_ options: String) throws(OpenCLError) {
    var id: cl_device_id? = device.id
    var code = clBuildProgram(handle, 1, &id, options, nil, nil)
    // PoCL's compiler removes its files and fails when the process receives a signal, even if the process goes on. Retry once.
    if code == CL_BUILD_PROGRAM_FAILURE { code = clBuildProgram(handle, 1, &id, options, nil, nil) }
    try OpenCLError.check(code, "clBuildProgram", detail: "options \(options)\n\(log)")
  }

  /// Returns the device's own binary form of the program; empty if it has none.
  public func binary() throws(OpenCLError) -> [UInt8] {
    let size = try Info.value("clGetProgramInfo", CL_PROGRAM_BINARY_SIZES, initial: 0) {
      clGetProgramInfo(handle, $0, $1, $2, $3)
    }
    var bytes = [UInt8](repeating: 0, count: size)
    let code = bytes.withUnsafeMutableBufferPointer { buffer in
      var base = buffer.baseAddress
      return clGetProgramInfo(handle, cl_program_info(CL_PROGRAM_BINARIES), MemoryLayout.size(ofValue: base), &base, nil)
    }
    try OpenCLError.check(code, "clGetProgramInfo")
    return bytes
  }

  private var log: String {
    do {
      return try Info.string("clGetProgramBuildInfo", CL_PROGRAM_BUILD_LOG) {
        clGetProgramBuildInfo(handle, device.id, $0, $1, $2, $3)
      }
    } catch { return "no build log: \(error)" }
  }
}
