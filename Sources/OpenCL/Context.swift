import COpenCL

/// Owns a `cl_context` with one device.
public final class Context: @unchecked Sendable {
  // Sendable: the OpenCL specification makes every call on a context thread-safe.
  let handle: cl_context
  public let device: Device

  public init(device: Device) throws(OpenCLError) {
    var id: cl_device_id? = device.id
    handle = try OpenCLError.create("clCreateContext") { clCreateContext(nil, 1, &id, nil, nil, $0) }
    self.device = device
  }

  deinit { clReleaseContext(handle) }
}
