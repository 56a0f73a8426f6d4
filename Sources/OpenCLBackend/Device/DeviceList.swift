import Compute
import OpenCL
import Support

/// An OpenCL device with its position: `opencl:PLATFORM.DEVICE`.
public struct DeviceEntry: Sendable {
  public let platform: Int
  public let index: Int
  public let device: Device

  /// Selector of the device, for example `opencl:0.0`.
  public var selector: String { "opencl:\(platform).\(index)" }
}

/// Device as a user names it: `opencl` for the best one, `opencl:P.D` for the one at a position, and either with `/N` for the
/// device divided into N equal parts.
public struct DeviceSelector: Hashable, Sendable, CustomStringConvertible {
  /// Device without the parts: ``DeviceEntry/selector``, or `opencl`.
  public let device: String
  /// Number of parts; 1 for the whole device.
  public let parts: Int

  /// Parses a selector; nil for any other text.
  public init?(_ text: some StringProtocol) {
    func isNumber(_ text: some StringProtocol) -> Bool { !text.isEmpty && text.allSatisfy { $0.isASCII && $0.isNumber } }
    let pieces = text.split(separator: "/", omittingEmptySubsequences: false)
    guard pieces.count <= 2, let device = pieces.first else { return nil }
    if pieces.count == 2 {
      guard isNumber(pieces[1]), let count = Int(pieces[1]), count > 0 else { return nil }
      parts = count
    } else {
      parts = 1
    }
    if device != "opencl" {
      let place = device.hasPrefix("opencl:") ? device.dropFirst(7).split(separator: ".", omittingEmptySubsequences: false) : []
      guard place.count == 2, place.allSatisfy({ isNumber($0) }) else { return nil }
    }
    self.device = String(device)
  }

  /// The best device, whole.
  package static let best = DeviceSelector(device: "opencl", parts: 1)

  private init(device: String, parts: Int) { (self.device, self.parts) = (device, parts) }

  public var description: String { parts == 1 ? device : "\(device)/\(parts)" }
}

/// The OpenCL devices of this machine.
public enum DeviceList {
  /// Returns every device of every platform that is available and has a compiler. Devices of a broken driver count as
  /// unavailable.
  public static func all() throws -> [DeviceEntry] {
    try Platform.all().enumerated().flatMap { number, platform -> [DeviceEntry] in
      guard let devices = try? platform.devices() else { return [] }
      return devices.enumerated().compactMap { index, device in
        (try? device.isAvailable) == true ? DeviceEntry(platform: number, index: index, device: device) : nil
      }
    }
  }

  /// Returns the device that `opencl` alone means. A GPU comes before an accelerator and an accelerator before a CPU; then the
  /// largest compute units × clock decides.
  public static func best(of entries: [DeviceEntry]) throws -> DeviceEntry? {
    let ranked = try entries.map { entry in
      let rank =
        switch try entry.device.kind {
        case .gpu: 3
        case .accelerator: 2
        case .cpu: 1
        case .other: 0
        }
      return (entry: entry, rank: rank, speed: try entry.device.computeUnits * max(1, entry.device.clockFrequency))
    }
    // The first of several equal devices is chosen, so that the choice does not change from run to run.
    return ranked.enumerated().max {
      ($0.element.rank, $0.element.speed, -$0.offset) < ($1.element.rank, $1.element.speed, -$1.offset)
    }?
    .element.entry
  }

  /// Returns the device that a selector names: `opencl` or `opencl:P.D`.
  public static func find(_ selector: String) throws -> DeviceEntry {
    let entries = try all()
    guard let best = try best(of: entries) else {
      let missing = try missingDevice()
      throw Failure(.device, missing.problem, remedy: "\(missing.remedy), or use \(Setting.device, "cpu")")
    }
    if selector == "opencl" { return best }
    guard let entry = entries.first(where: { $0.selector == selector }) else {
      let known = entries.map(\.selector).joined(separator: ", ")
      throw Failure(
        .device, "no OpenCL device '\(selector)': this machine has \(known); `resnet devices` describes them")
    }
    return entry
  }

  /// Returns why there is no device, and what to do. Only meaningful if there is none.
  public static func missingDevice() throws -> (problem: Message, remedy: Message) {
    let drivers = try Platform.all()
    if drivers.isEmpty {
      if HostMemory.processAvailable() != nil, let advice = DriverMemory.advice() {
        return ("no OpenCL device can be used by this process", Message(advice))
      }
      return (
        "no OpenCL device on this machine",
        "install a driver (Debian: pocl-opencl-icd runs on any CPU, mesa-opencl-icd, intel-opencl-icd or the vendor's for a GPU)"
      )
    }
    if try drivers.contains(where: { try $0.isPoCL }), let cache = PoCLCache.replacement, cache.own == nil {
      return (
        "PoCL offers no device, as it cannot write to \(cache.usual)", "set \(PoCLCache.variable) to a folder that can be written"
      )
    }
    let names = try drivers.map { try $0.name }.joined(separator: ", ")
    return (
      "no OpenCL device on this machine, though there is a driver (\(names))",
      "install another (Debian: pocl-opencl-icd runs on any CPU)"
    )
  }

  /// Returns a message that tells where PoCL caches compiled kernels, and why. Nil if none of the devices is PoCL's, or if it
  /// uses its usual folder.
  public static func movedCache(of devices: [Device]) throws -> String? {
    guard let cache = PoCLCache.replacement, let own = cache.own,
      try devices.contains(where: { try DriverQuirk.needsCacheFolder.applies(to: $0) })
    else {
      return nil
    }
    return
      "PoCL keeps what it compiles in \(own), as \(cache.usual) cannot be written: \(PoCLCache.variable) names another folder"
  }

  /// Returns the devices that selectors name, in their order.
  /// - Throws: ``Failure`` for a device that does not exist, is named twice or cannot be divided.
  public static func find(_ selectors: [DeviceSelector]) throws -> [Device] {
    let entries = try selectors.map { try find($0.device) }
    for (index, entry) in entries.enumerated() where entries[..<index].contains(where: { $0.device == entry.device }) {
      throw Failure(
        .invalidSetting,
        "\(selectors.map(\.description).joined(separator: ",")) names \(entry.selector) twice: name each device once")
    }
    return try zip(entries, selectors).flatMap { entry, selector in
      if selector.parts == 1 { return [entry.device] }
      do { return try entry.device.partitioned(into: selector.parts) } catch {
        throw Failure(.device, about: selector.description, "\(error)")
      }
    }
  }
}
