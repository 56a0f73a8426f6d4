import CCLBlast
import Glibc
import OpenCL
import Synchronization

/// Parameters of CLBlast for matrix products. CLBlast keeps them for each device of the process.
enum CLBlastParameters {
  /// Parameters for CPUs, for which CLBlast's own database has no good answer: on PoCL they give about 90 GFLOP/s on two AVX-512
  /// cores, where the defaults give 13.
  private static let forCPUs: KeyValuePairs<String, Int> = [
    "GEMMK": 0, "KREG": 1, "KWG": 32, "KWI": 2, "MDIMA": 8, "MDIMC": 8, "MWG": 64, "NDIMB": 8, "NDIMC": 8, "NWG": 64, "SA": 0,
    "SB": 0, "STRM": 0, "STRN": 0, "VWM": 4, "VWN": 4,
  ]

  private static let prepared = Mutex<Set<Device>>([])

  /// Sets the parameters before a CPU's first product.
  static func prepare(_ device: Device, _ traits: DeviceTraits) throws(OpenCLError) {
    guard traits.isCPU, prepared.withLock({ $0.insert(device).inserted }) else { return }
    let names = forCPUs.map { strdup($0.key) }
    defer { for name in names { free(name) } }
    var pointers = names.map { UnsafePointer($0) }
    let values = forCPUs.map(\.value)
    let status = CLBlastOverrideParameters(device.handle, "Xgemm", CLBlastPrecisionSingle, values.count, &pointers, values)
    guard status == CLBlastSuccess else {
      throw OpenCLError(call: "CLBlastOverrideParameters", code: status.rawValue)
    }
  }
}
