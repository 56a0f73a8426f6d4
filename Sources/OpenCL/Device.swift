import COpenCL

/// A processor that runs kernels, or a part of one. All values are the driver's own answers.
public struct Device: Hashable, @unchecked Sendable {
  // Sendable: devices are immutable. Root devices live as long as the process; a part lives as long as its owner is held.
  let id: cl_device_id
  private let part: PartOwner?
  /// Number of equal parts into which the processor was divided, of which this is one; 1 for the whole processor.
  public let partsOfWhole: Int

  /// Creates a root device.
  init(id: cl_device_id) { (self.id, part, partsOfWhole) = (id, nil, 1) }

  private init(part: PartOwner, of count: Int) { (id, self.part, partsOfWhole) = (part.id, part, count) }

  public static func == (a: Device, b: Device) -> Bool { a.id == b.id }
  public func hash(into hasher: inout Hasher) { hasher.combine(id) }

  /// Device handle for libraries that use the C API.
  public var handle: cl_device_id { id }

  public enum Kind: String, Sendable {
    case cpu, gpu, accelerator, other
  }

  /// Name that the driver reports.
  public var name: String { get throws(OpenCLError) { try string(CL_DEVICE_NAME) } }
  /// Vendor's number on the PCI bus, as GPU drivers and Intel's CPU drivers report it. Other drivers report arbitrary values.
  public var vendorID: UInt32 { get throws(OpenCLError) { try value(CL_DEVICE_VENDOR_ID, cl_uint(0)) } }
  /// The ``vendorID`` of Intel.
  public static let intel: UInt32 = 0x8086
  /// Version of the driver, in the driver's own format.
  public var driverVersion: String { get throws(OpenCLError) { try string(CL_DRIVER_VERSION) } }
  /// OpenCL version, for example `OpenCL 3.0 PoCL`.
  public var version: String { get throws(OpenCLError) { try string(CL_DEVICE_VERSION) } }

  /// OpenCL C version (major, minor) that the device's compiler accepts. The platform's version may be higher.
  public var languageVersion: (major: Int, minor: Int) {
    get throws(OpenCLError) {
      let numbers = try string(CL_DEVICE_OPENCL_C_VERSION).split { !$0.isNumber }.compactMap { Int($0) }
      return numbers.count >= 2 ? (numbers[0], numbers[1]) : (1, 0)
    }
  }

  /// Device class. If the driver reports several, the fastest one.
  public var kind: Kind {
    get throws(OpenCLError) {
      let type = try value(CL_DEVICE_TYPE, cl_device_type(0))
      if type & cl_device_type(CL_DEVICE_TYPE_GPU) != 0 { return .gpu }
      if type & cl_device_type(CL_DEVICE_TYPE_ACCELERATOR) != 0 { return .accelerator }
      if type & cl_device_type(CL_DEVICE_TYPE_CPU) != 0 { return .cpu }
      return .other
    }
  }

  /// Number of compute units: processors that each run work-groups of their own.
  public var computeUnits: Int { get throws(OpenCLError) { Int(try value(CL_DEVICE_MAX_COMPUTE_UNITS, cl_uint(0))) } }
  /// Clock frequency in MHz.
  public var clockFrequency: Int { get throws(OpenCLError) { Int(try value(CL_DEVICE_MAX_CLOCK_FREQUENCY, cl_uint(0))) } }
  /// Size of the global memory in bytes.
  public var globalMemory: Int { get throws(OpenCLError) { Int(try value(CL_DEVICE_GLOBAL_MEM_SIZE, cl_ulong(0))) } }
  /// Whether the global memory is the machine's own memory: true for CPUs, and for GPUs without memory of their own.
  public var sharesHostMemory: Bool {
    get throws(OpenCLError) { try value(CL_DEVICE_HOST_UNIFIED_MEMORY, cl_bool(0)) != 0 }
  }
  /// Size of the largest single buffer in bytes.
  public var maxAllocation: Int { get throws(OpenCLError) { Int(try value(CL_DEVICE_MAX_MEM_ALLOC_SIZE, cl_ulong(0))) } }
  /// Bytes of local memory that a work-group may use.
  public var localMemory: Int { get throws(OpenCLError) { Int(try value(CL_DEVICE_LOCAL_MEM_SIZE, cl_ulong(0))) } }
  /// Largest work-group size, both in all and in each of the first two dimensions.
  public var maxWorkGroupSize: Int {
    get throws(OpenCLError) {
      let sizes = try Info.bytes("clGetDeviceInfo", CL_DEVICE_MAX_WORK_ITEM_SIZES) { clGetDeviceInfo(id, $0, $1, $2, $3) }
      let dimensions = sizes.withUnsafeBytes { Array($0.bindMemory(to: Int.self).prefix(2)) }
      return min(dimensions.min() ?? 1, try value(CL_DEVICE_MAX_WORK_GROUP_SIZE, 1))
    }
  }
  /// Compute capability of an NVIDIA GPU, which determines the PTX that it accepts; nil for other devices
  /// (`cl_nv_device_attribute_query`).
  public var computeCapability: (major: Int, minor: Int)? {
    get throws(OpenCLError) {
      guard try string(CL_DEVICE_EXTENSIONS).split(separator: " ").contains("cl_nv_device_attribute_query") else { return nil }
      // CL_DEVICE_COMPUTE_CAPABILITY_MAJOR_NV and …_MINOR_NV, which some headers lack.
      return (Int(try value(0x4000, cl_uint(0))), Int(try value(0x4001, cl_uint(0))))
    }
  }
  /// Number of floats in the widest vector that the hardware executes natively.
  public var nativeVectorWidth: Int {
    get throws(OpenCLError) { Int(try value(CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, cl_uint(0))) }
  }
  /// Alignment in bytes that the offset of a sub-buffer must have.
  public var baseAddressAlignment: Int {
    get throws(OpenCLError) { max(1, Int(try value(CL_DEVICE_MEM_BASE_ADDR_ALIGN, cl_uint(0))) / 8) }
  }
  /// Whether the device works and has a compiler.
  public var isAvailable: Bool {
    get throws(OpenCLError) {
      if try value(CL_DEVICE_AVAILABLE, cl_bool(0)) == 0 { return false }
      return try value(CL_DEVICE_COMPILER_AVAILABLE, cl_bool(0)) != 0
    }
  }

  /// Platform that the device belongs to.
  public var platform: Platform {
    get throws(OpenCLError) {
      let id: cl_platform_id? = try value(CL_DEVICE_PLATFORM, nil)
      guard let id else { throw OpenCLError(call: "clGetDeviceInfo", code: CL_INVALID_PLATFORM) }
      return Platform(id: id)
    }
  }

  /// Divides the device into parts with the same number of compute units each. The parts work independently of each other and
  /// share the device's memory. Remaining compute units stay idle.
  /// - Throws: an error if the device cannot be divided like this; its detail says what the device can do.
  public func partitioned(into count: Int) throws(OpenCLError) -> [Device] {
    precondition(count > 0, "[partitioned] into \(count)")
    let units = try computeUnits / count
    guard units > 0 else {
      throw OpenCLError(
        call: "clCreateSubDevices", code: CL_INVALID_DEVICE_PARTITION_COUNT,
        detail: "\(try name) has \(try computeUnits) compute units, not enough for \(count) parts")
    }
    var properties = [
      cl_device_partition_property(CL_DEVICE_PARTITION_EQUALLY), cl_device_partition_property(units), 0,
    ]
    let unable = "\(try name) of \(try computeUnits) compute units cannot be cut into parts"
    var found: cl_uint = 0
    try OpenCLError.check(clCreateSubDevices(id, &properties, 0, nil, &found), "clCreateSubDevices", detail: unable)
    var ids = [cl_device_id?](repeating: nil, count: Int(found))
    try OpenCLError.check(clCreateSubDevices(id, &properties, found, &ids, nil), "clCreateSubDevices", detail: unable)
    // Each of them has an owner, which releases the surplus ones at once.
    return ids.compactMap { $0.map(PartOwner.init(id:)) }.prefix(count).map { Device(part: $0, of: count * partsOfWhole) }
  }

  private func string(_ parameter: Int32) throws(OpenCLError) -> String {
    try Info.string("clGetDeviceInfo", parameter) { clGetDeviceInfo(id, $0, $1, $2, $3) }
  }

  private func value<Value: BitwiseCopyable>(_ parameter: Int32, _ initial: Value) throws(OpenCLError) -> Value {
    try Info.value("clGetDeviceInfo", parameter, initial: initial) { clGetDeviceInfo(id, $0, $1, $2, $3) }
  }
}

/// Owns a sub-device.
private final class PartOwner {
  let id: cl_device_id

  init(id: cl_device_id) { self.id = id }

  deinit { clReleaseDevice(id) }
}
