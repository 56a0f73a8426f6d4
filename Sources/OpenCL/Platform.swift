import COpenCL
import Glibc

/// An OpenCL implementation installed on this machine, for example PoCL or a vendor's driver.
public struct Platform: Hashable, @unchecked Sendable {
  // Sendable: platform objects are immutable and live as long as the process.
  let id: cl_platform_id

  /// Returns every platform that the ICD loader finds; empty if no driver is installed.
  public static func all() throws(OpenCLError) -> [Platform] { try found.get() }

  /// Platforms, queried once: loaders and drivers initialize themselves at the first call, and some fail if two first calls run
  /// at the same time.
  private static let found = Result { () throws(OpenCLError) in try find() }

  private static func find() throws(OpenCLError) -> [Platform] {
    _ = PoCLCache.replacement  // Must run before PoCL is loaded.
    // PoCL's compiler looks for the linker in PATH, and ends the process if it finds none.
    setenv("PATH", "/usr/local/bin:/usr/bin:/bin", 0)
    var count: cl_uint = 0
    let code = clGetPlatformIDs(0, nil, &count)
    if code == platformNotFound || (code == CL_SUCCESS && count == 0) { return [] }
    try OpenCLError.check(code, "clGetPlatformIDs")
    var ids = [cl_platform_id?](repeating: nil, count: Int(count))
    try OpenCLError.check(clGetPlatformIDs(count, &ids, nil), "clGetPlatformIDs")
    let platforms = ids.compactMap { $0.map(Platform.init(id:)) }
    // A driver whose devices cannot be listed must not hide the others. Code that asks for that platform's devices gets the
    // error.
    for platform in platforms { _ = try? platform.devices() }
    return platforms
  }

  /// CL_PLATFORM_NOT_FOUND_KHR of the ICD loader's extension: no driver is registered.
  private static let platformNotFound: cl_int = -1001

  public var name: String { get throws(OpenCLError) { try string(CL_PLATFORM_NAME) } }
  public var version: String { get throws(OpenCLError) { try string(CL_PLATFORM_VERSION) } }
  /// Whether the platform is PoCL, which runs on the CPU and caches compiled kernels on disk itself.
  public var isPoCL: Bool { get throws(OpenCLError) { try name == "Portable Computing Language" } }

  /// Returns every device of the platform.
  public func devices() throws(OpenCLError) -> [Device] {
    var count: cl_uint = 0
    let code = clGetDeviceIDs(id, cl_device_type(CL_DEVICE_TYPE_ALL), 0, nil, &count)
    if code == CL_DEVICE_NOT_FOUND { return [] }
    try OpenCLError.check(code, "clGetDeviceIDs")
    var ids = [cl_device_id?](repeating: nil, count: Int(count))
    try OpenCLError.check(clGetDeviceIDs(id, cl_device_type(CL_DEVICE_TYPE_ALL), count, &ids, nil), "clGetDeviceIDs")
    return ids.compactMap { $0.map(Device.init(id:)) }
  }

  private func string(_ parameter: Int32) throws(OpenCLError) -> String {
    try Info.string("clGetPlatformInfo", parameter) { clGetPlatformInfo(id, $0, $1, $2, $3) }
  }
}
