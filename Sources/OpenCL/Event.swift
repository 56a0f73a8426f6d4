import COpenCL

/// Owns a `cl_event`: the state and, on a profiling queue, the timestamps of one command.
public final class Event {
  let handle: cl_event

  /// Takes over the reference that a call of the API has returned.
  public init(handle: cl_event) { self.handle = handle }

  deinit { clReleaseEvent(handle) }

  /// Waits for the command.
  public func wait() throws(OpenCLError) {
    var event: cl_event? = handle
    try OpenCLError.check(clWaitForEvents(1, &event), "clWaitForEvents")
  }

  /// True once the command has ended, also if it failed; ``wait()`` then throws.
  public var isComplete: Bool {
    get throws(OpenCLError) {
      let status = try Info.value("clGetEventInfo", CL_EVENT_COMMAND_EXECUTION_STATUS, initial: cl_int(0)) {
        clGetEventInfo(handle, $0, $1, $2, $3)
      }
      return status <= CL_COMPLETE
    }
  }

  /// When the device began and ended the command, nanoseconds of its own clock. Needs a profiling queue and a finished command.
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
