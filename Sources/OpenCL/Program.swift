import COpenCL

/// Owns a built `cl_program`.
public final class Program {
  let handle: cl_program

  /// Compiles OpenCL C for the context's device.
  /// - Throws: an error whose detail is the compiler's log, if the source does not build.
  public init(context: Context, source: String, options: String) throws(OpenCLError) {
    let program = try OpenCLError.create("clCreateProgramWithSource") { code in
      source.withCString { text in
        var text: UnsafePointer<CChar>? = text
        return clCreateProgramWithSource(context.handle, 1, &text, nil, code)
      }
    }
    handle = program
    var id: cl_device_id? = context.device.id
    let code = clBuildProgram(program, 1, &id, options, nil, nil)
    // A class instance whose stored properties are all set runs its deinit when init throws, which releases the program.
    try OpenCLError.check(code, "clBuildProgram", detail: "options \(options)\n\(Self.log(program, context.device))")
  }

  deinit { clReleaseProgram(handle) }

  private static func log(_ program: cl_program, _ device: Device) -> String {
    do {
      return try Info.string("clGetProgramBuildInfo", CL_PROGRAM_BUILD_LOG) {
        clGetProgramBuildInfo(program, device.id, $0, $1, $2, $3)
      }
    } catch { return "no build log: \(error)" }
  }
}
