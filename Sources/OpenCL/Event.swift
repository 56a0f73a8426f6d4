import COpenCL

/// Owns a `cl_event`: the state of one command and, on a profiling queue, its timestamps.
public final class Event {
  let handle: cl_event

  /// Takes ownership of the reference that an API call returned.
  public init(handle: cl_event) { self.handle = handle }

  deinit { clReleaseEvent(handle) }

  /// Waits until the command has ended.
  public func wait() throws(OpenCLError) {
    var event: cl_event? = handle
    try OpenCLError.check(clWaitForEvents(1, &event), "clWaitForEvents")
  }

  /// Whether the command has ended. This is also true if it failed; ``wait()`` then throws.
  public var isComplete: Bool {
    get throws(OpenCLError) {
      let status = try Info.value("clGetEventInfo", CL_EVENT_COMMAND_EXECUTION_STATUS, initial: cl_int(0)) {
        clGetEventInfo(handle, $0, $1, $2, $3)
      }
      return status <= CL_COMPLETE
    }
  }

  /// Time from start to end of the command on the device, in nanoseconds of the device's clock. Needs a profiling queue and a
  /// finished command.
  public var interval: Range<UInt64> {
    get throws(OpenCLError) {
      let start = try timestamp(CL_PROFILING_COMMAND_START)
      return start..<max(start, try timestamp(CL_PROFILING_COMMAND_END))
    }
  }

  private func timestamp(_ parameter: Int32) throws(OpenCLError) -> UInt64 {
    try Info.value("clGetEventProfilingInfo", parameter, initial: cl_ulong(0)) { clGetEventProfilingInfo(handle, $0, $1, $2, $3) }
  }
}
