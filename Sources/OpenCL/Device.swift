import COpenCL

/// A processor that runs kernels, or a part of one. All figures are the driver's own answers.
public struct Device: Hashable, @unchecked Sendable {
  // Sendable: devices are immutable. Root devices live as long as the process, parts as long as somebody holds their owner.
  let id: cl_device_id
  private let part: PartOwner?
  /// How many equal parts the processor was cut into, of which this is one; 1 for the whole.
  public let partsOfWhole: Int

  /// A root device.
  init(id: cl_device_id) { (self.id, part, partsOfWhole) = (id, nil, 1) }

  private init(part: PartOwner, of count: Int) { (id, self.part, partsOfWhole) = (part.id, part, count) }

  public static func == (a: Device, b: Device) -> Bool { a.id == b.id }
  public func hash(into hasher: inout Hasher) { hasher.combine(id) }

  /// For libraries that take a device of the C API.
  public var handle: cl_device_id { id }

  public enum Kind: String, Sendable {
    case cpu, gpu, accelerator, other
  }

  /// As the driver calls it.
  public var name: String { get throws(OpenCLError) { try string(CL_DEVICE_NAME) } }
  /// The vendor's number on the PCI bus, which drivers of GPUs and Intel's of CPUs give; others give what they like.
  public var vendorID: UInt32 { get throws(OpenCLError) { try value(CL_DEVICE_VENDOR_ID, cl_uint(0)) } }
  /// Intel's ``vendorID``.
  public static let intel: UInt32 = 0x8086
  /// The driver's own version, in its own form.
  public var driverVersion: String { get throws(OpenCLError) { try string(CL_DRIVER_VERSION) } }
  /// For example `OpenCL 3.0 PoCL`.
  public var version: String { get throws(OpenCLError) { try string(CL_DEVICE_VERSION) } }

  /// The OpenCL C version that the device's compiler accepts, (major, minor). The platform's version may be higher.
  public var languageVersion: (major: Int, minor: Int) {
    get throws(OpenCLError) {
      let numbers = try string(CL_DEVICE_OPENCL_C_VERSION).split { !$0.isNumber }.compactMap { Int($0) }
      return numbers.count >= 2 ? (numbers[0], numbers[1]) : (1, 0)
    }
  }

  /// What sort of processor it is; of several answers the fastest.
  public var kind: Kind {
    get throws(OpenCLError) {
      let type = try value(CL_DEVICE_TYPE, cl_device_type(0))
      if type & cl_device_type(CL_DEVICE_TYPE_GPU) != 0 { return .gpu }
      if type & cl_device_type(CL_DEVICE_TYPE_ACCELERATOR) != 0 { return .accelerator }
      if type & cl_device_type(CL_DEVICE_TYPE_CPU) != 0 { return .cpu }
      return .other
    }
  }

  /// Processors that each run work-groups of their own.
  public var computeUnits: Int { get throws(OpenCLError) { Int(try value(CL_DEVICE_MAX_COMPUTE_UNITS, cl_uint(0))) } }
  /// MHz.
  public var clockFrequency: Int { get throws(OpenCLError) { Int(try value(CL_DEVICE_MAX_CLOCK_FREQUENCY, cl_uint(0))) } }
  /// Bytes.
  public var globalMemory: Int { get throws(OpenCLError) { Int(try value(CL_DEVICE_GLOBAL_MEM_SIZE, cl_ulong(0))) } }
  /// Whether that memory is the machine's own: CPUs, and GPUs without memory of theirs.
  public var sharesHostMemory: Bool {
    get throws(OpenCLError) { try value(CL_DEVICE_HOST_UNIFIED_MEMORY, cl_bool(0)) != 0 }
  }
  /// The largest single buffer, bytes.
  public var maxAllocation: Int { get throws(OpenCLError) { Int(try value(CL_DEVICE_MAX_MEM_ALLOC_SIZE, cl_ulong(0))) } }
  /// Bytes of local memory that a work-group may use.
  public var localMemory: Int { get throws(OpenCLError) { Int(try value(CL_DEVICE_LOCAL_MEM_SIZE, cl_ulong(0))) } }
  /// Work-items that a work-group may have at most, in all and in its first two dimensions.
  public var maxWorkGroupSize: Int {
    get throws(OpenCLError) {
      let sizes = try Info.bytes("clGetDeviceInfo", CL_DEVICE_MAX_WORK_ITEM_SIZES) { clGetDeviceInfo(id, $0, $1, $2, $3) }
      let dimensions = sizes.withUnsafeBytes { Array($0.bindMemory(to: Int.self).prefix(2)) }
      return min(dimensions.min() ?? 1, try value(CL_DEVICE_MAX_WORK_GROUP_SIZE, 1))
    }
  }
  /// The generation of an NVIDIA GPU, which says what PTX it understands; nil for other devices (`cl_nv_device_attribute_query`).
  public var computeCapability: (major: Int, minor: Int)? {
    get throws(OpenCLError) {
      guard try string(CL_DEVICE_EXTENSIONS).split(separator: " ").contains("cl_nv_device_attribute_query") else { return nil }
      // CL_DEVICE_COMPUTE_CAPABILITY_MAJOR_NV and …_MINOR_NV, which not every header has.
      return (Int(try value(0x4000, cl_uint(0))), Int(try value(0x4001, cl_uint(0))))
    }
  }
  /// Floats in the widest vector that the hardware executes natively.
  public var nativeVectorWidth: Int {
    get throws(OpenCLError) { Int(try value(CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, cl_uint(0))) }
  }
  /// The alignment in bytes that a sub-buffer's offset must have.
  public var baseAddressAlignment: Int {
    get throws(OpenCLError) { max(1, Int(try value(CL_DEVICE_MEM_BASE_ADDR_ALIGN, cl_uint(0))) / 8) }
  }
  /// Whether the device works and comes with a compiler.
  public var isAvailable: Bool {
    get throws(OpenCLError) {
      if try value(CL_DEVICE_AVAILABLE, cl_bool(0)) == 0 { return false }
      return try value(CL_DEVICE_COMPILER_AVAILABLE, cl_bool(0)) != 0
    }
  }

  /// The driver's platform.
  public var platform: Platform {
    get throws(OpenCLError) {
      let id: cl_platform_id? = try value(CL_DEVICE_PLATFORM, nil)
      guard let id else { throw OpenCLError(call: "clGetDeviceInfo", code: CL_INVALID_PLATFORM) }
      return Platform(id: id)
    }
  }

  /// Cuts the device into parts with the same number of compute units each, which work independently of each other; a rest of units is
  /// left idle. They share the device's memory.
  /// - Throws: an error whose detail says what the device can do, where it cannot do this.
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
    // All have an owner, which releases what is too many at once.
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
