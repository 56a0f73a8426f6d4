import COpenCL

/// Owns a `cl_mem`: memory of the device, or a part of another buffer.
public final class Buffer {
  /// OpenCL's object; nil for a placeholder, which OpenCL takes for a null pointer.
  public let handle: cl_mem?
  public let byteCount: Int
  /// Kept so that a sub-buffer never outlives the memory it views; never a sub-buffer itself, as OpenCL demands.
  private let parent: Buffer?
  /// Bytes from the parent's beginning.
  private let offset: Int

  /// Read-write memory of undefined contents.
  public init(context: Context, byteCount: Int) throws(OpenCLError) {
    handle = try OpenCLError.create("clCreateBuffer", detail: "\(byteCount) bytes") {
      clCreateBuffer(context.handle, cl_mem_flags(CL_MEM_READ_WRITE), byteCount, nil, $0)
    }
    self.byteCount = byteCount
    parent = nil
    offset = 0
  }

  /// A placeholder of a size, without memory: for plans that no device carries out.
  public init(placeholder byteCount: Int) {
    (handle, self.byteCount, parent, offset) = (nil, byteCount, nil, 0)
  }

  /// A view of part of a buffer, which may be a view too. `offset` is a multiple of the device's ``Device/baseAddressAlignment``.
  public init(of whole: Buffer, offset: Int, byteCount: Int) throws(OpenCLError) {
    let parent = whole.parent ?? whole
    let origin = whole.offset + offset
    self.byteCount = byteCount
    self.parent = parent
    self.offset = origin
    guard let memory = parent.handle else {
      handle = nil
      return
    }
    var region = cl_buffer_region(origin: origin, size: byteCount)
    handle = try OpenCLError.create("clCreateSubBuffer", detail: "\(byteCount) bytes at \(origin) of \(parent.byteCount)") {
      clCreateSubBuffer(
        memory, cl_mem_flags(CL_MEM_READ_WRITE), cl_buffer_create_type(CL_BUFFER_CREATE_TYPE_REGION), &region, $0)
    }
  }

  deinit {
    if let handle { clReleaseMemObject(handle) }
  }
}
