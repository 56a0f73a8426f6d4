import COpenCL

/// Owns a `cl_mem`: memory of the device, or a part of another buffer.
public final class Buffer {
  /// OpenCL object; nil for a placeholder, which OpenCL treats as a null pointer.
  public let handle: cl_mem?
  public let byteCount: Int
  /// Parent buffer, kept so that a sub-buffer never outlives the memory it views. It is never a sub-buffer itself, as OpenCL
  /// demands.
  private let parent: Buffer?
  /// Offset in bytes from the start of the parent.
  private let offset: Int

  /// Allocates read-write memory with undefined contents.
  public init(context: Context, byteCount: Int) throws(OpenCLError) {
    handle = try OpenCLError.create("clCreateBuffer", detail: "\(byteCount) bytes") {
      clCreateBuffer(context.handle, cl_mem_flags(CL_MEM_READ_WRITE), byteCount, nil, $0)
    }
    self.byteCount = byteCount
    parent = nil
    offset = 0
  }

  /// Creates a placeholder that has a size but no memory, for plans that no device executes.
  public init(placeholder byteCount: Int) {
    (handle, self.byteCount, parent, offset) = (nil, byteCount, nil, 0)
  }

  /// Creates a view of a part of a buffer, which may be a view too. `offset` is a multiple of the device's
  /// ``Device/baseAddressAlignment``.
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
