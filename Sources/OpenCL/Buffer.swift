import COpenCL

/// Owns a `cl_mem`: memory of the device, or a part of another buffer.
public final class Buffer {
  public let handle: cl_mem
  public let byteCount: Int
  /// Kept so that a sub-buffer never outlives the memory it views.
  private let parent: Buffer?

  /// Read-write memory of undefined contents.
  public init(context: Context, byteCount: Int) throws(OpenCLError) {
    handle = try OpenCLError.create("clCreateBuffer", detail: "\(byteCount) bytes") {
      clCreateBuffer(context.handle, cl_mem_flags(CL_MEM_READ_WRITE), byteCount, nil, $0)
    }
    self.byteCount = byteCount
    parent = nil
  }

  /// A view of part of a buffer. `offset` is a multiple of the device's ``Device/baseAddressAlignment``.
  /// - Precondition: `parent` is not itself a view (the OpenCL specification forbids it).
  public init(of parent: Buffer, offset: Int, byteCount: Int) throws(OpenCLError) {
    precondition(parent.parent == nil, "[Buffer] a view of a view")
    var region = cl_buffer_region(origin: offset, size: byteCount)
    handle = try OpenCLError.create("clCreateSubBuffer", detail: "\(byteCount) bytes at \(offset) of \(parent.byteCount)") {
      clCreateSubBuffer(
        parent.handle, cl_mem_flags(CL_MEM_READ_WRITE), cl_buffer_create_type(CL_BUFFER_CREATE_TYPE_REGION), &region, $0)
    }
    self.byteCount = byteCount
    self.parent = parent
  }

  deinit { clReleaseMemObject(handle) }
}
