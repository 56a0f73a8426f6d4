import COpenCL

/// Owns an in-order command queue: commands take effect in the order of the calls.
public final class Queue {
  public let handle: cl_command_queue
  public let context: Context

  /// - Parameter profiling: whether events carry device timestamps, which costs a little on some drivers.
  public init(context: Context, profiling: Bool = false) throws(OpenCLError) {
    let kind = profiling ? cl_queue_properties(CL_QUEUE_PROFILING_ENABLE) : 0
    let device = context.device.id
    if try context.device.version.hasPrefix("OpenCL 1.") {
      handle = try OpenCLError.create("clCreateCommandQueue") { clCreateCommandQueue(context.handle, device, kind, $0) }
    } else {
      var properties: [cl_queue_properties] = [cl_queue_properties(CL_QUEUE_PROPERTIES), kind, 0]
      handle = try OpenCLError.create("clCreateCommandQueueWithProperties") {
        clCreateCommandQueueWithProperties(context.handle, device, &properties, $0)
      }
    }
    self.context = context
  }

  deinit { clReleaseCommandQueue(handle) }

  /// Submits the commands enqueued so far to the device.
  public func flush() throws(OpenCLError) { try OpenCLError.check(clFlush(handle), "clFlush") }

  /// Waits until all commands enqueued so far are done.
  public func finish() throws(OpenCLError) { try OpenCLError.check(clFinish(handle), "clFinish") }

  /// Enqueues a kernel over a range of work-items.
  /// - Parameters:
  ///   - global: number of work-items in each of up to three dimensions, multiples of `local`.
  ///   - local: number of work-items in a work-group; nil lets the driver choose.
  ///   - event: whether to return an event, which costs a little.
  @discardableResult
  public func enqueue(_ kernel: Kernel, global: [Int], local: [Int]? = nil, event: Bool = false) throws(OpenCLError) -> Event? {
    precondition(local == nil || local?.count == global.count, "[enqueue] \(kernel.name): global \(global), local \(local ?? [])")
    var handleOfEvent: cl_event?
    let code = withUnsafeMutablePointer(to: &handleOfEvent) {
      clEnqueueNDRangeKernel(handle, kernel.handle, cl_uint(global.count), nil, global, local, 0, nil, event ? $0 : nil)
    }
    try OpenCLError.check(code, "clEnqueueNDRangeKernel", detail: "kernel \(kernel.name), global \(global), local \(local ?? [])")
    return handleOfEvent.map(Event.init(handle:))
  }

  /// Copies bytes to the device. The source may be reused when the call returns.
  public func write(_ bytes: UnsafeRawBufferPointer, to buffer: Buffer, offset: Int = 0) throws(OpenCLError) {
    guard let base = bytes.baseAddress, bytes.count > 0 else { return }
    try OpenCLError.check(
      clEnqueueWriteBuffer(handle, buffer.handle, cl_bool(CL_TRUE), offset, bytes.count, base, 0, nil, nil),
      "clEnqueueWriteBuffer", detail: "\(bytes.count) bytes")
  }

  /// Copies bytes to the host and waits for them.
  public func read(_ buffer: Buffer, offset: Int = 0, into bytes: UnsafeMutableRawBufferPointer) throws(OpenCLError) {
    guard let base = bytes.baseAddress, bytes.count > 0 else { return }
    try OpenCLError.check(
      clEnqueueReadBuffer(handle, buffer.handle, cl_bool(CL_TRUE), offset, bytes.count, base, 0, nil, nil),
      "clEnqueueReadBuffer", detail: "\(bytes.count) bytes")
  }

  /// Starts a copy to the host. `base` must stay valid until the event is complete.
  public func readAsynchronously(_ buffer: Buffer, count: Int, into base: UnsafeMutableRawPointer) throws(OpenCLError) -> Event {
    var event: cl_event?
    try OpenCLError.check(
      clEnqueueReadBuffer(handle, buffer.handle, cl_bool(CL_FALSE), 0, count, base, 0, nil, &event), "clEnqueueReadBuffer")
    guard let event else { throw OpenCLError(call: "clEnqueueReadBuffer", code: CL_INVALID_EVENT) }
    return Event(handle: event)
  }

  /// Copies the first `byteCount` bytes; `byteCount` is at least one.
  /// - Parameter event: whether to return an event, which costs a little.
  @discardableResult
  public func copy(
    _ source: Buffer, to destination: Buffer, byteCount: Int, event: Bool = false
  ) throws(OpenCLError) -> Event? {
    var handleOfEvent: cl_event?
    let code = withUnsafeMutablePointer(to: &handleOfEvent) {
      clEnqueueCopyBuffer(handle, source.handle, destination.handle, 0, 0, byteCount, 0, nil, event ? $0 : nil)
    }
    try OpenCLError.check(code, "clEnqueueCopyBuffer", detail: "\(byteCount) bytes")
    return handleOfEvent.map(Event.init(handle:))
  }

  /// Enqueues a command that does nothing. Its event ends when everything enqueued before it is done.
  public func marker() throws(OpenCLError) -> Event {
    var event: cl_event?
    try OpenCLError.check(clEnqueueMarkerWithWaitList(handle, 0, nil, &event), "clEnqueueMarkerWithWaitList")
    guard let event else { throw OpenCLError(call: "clEnqueueMarkerWithWaitList", code: CL_INVALID_EVENT) }
    return Event(handle: event)
  }

  /// Repeats a pattern through the first `byteCount` bytes. `byteCount` is a multiple of the pattern's size, at least one
  /// pattern.
  /// - Parameter event: whether to return an event, which costs a little.
  @discardableResult
  public func fill<Pattern: BitwiseCopyable>(
    _ buffer: Buffer, with pattern: Pattern, byteCount: Int, event: Bool = false
  ) throws(OpenCLError) -> Event? {
    var handleOfEvent: cl_event?
    let code = withUnsafeBytes(of: pattern) { pattern in
      withUnsafeMutablePointer(to: &handleOfEvent) {
        clEnqueueFillBuffer(handle, buffer.handle, pattern.baseAddress, pattern.count, 0, byteCount, 0, nil, event ? $0 : nil)
      }
    }
    try OpenCLError.check(code, "clEnqueueFillBuffer", detail: "\(byteCount) bytes")
    return handleOfEvent.map(Event.init(handle:))
  }
}
