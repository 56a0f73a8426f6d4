import Glibc

/// The machine's own memory, which CPU devices share with everything else that runs.
public enum HostMemory {
  /// Bytes that devices in this memory can take before the system would have to kill something: what the kernel calls available,
  /// or less where a control group sets a limit, and of that nineteen parts in twenty, since the process itself needs some.
  /// `Int.max` where the system does not tell.
  public static func available() -> Int {
    let bytes = min(systemAvailable() ?? .max, groupAvailable() ?? .max)
    return bytes == .max ? bytes : bytes / 20 * 19
  }

  /// The most bytes of the machine's memory that this process has held at a time so far; nil where the system does not tell.
  public static func residentPeak() -> Int? { field("VmHWM:", of: "/proc/self/status").map { $0 * 1024 } }

  /// `MemAvailable` of `/proc/meminfo`, which counts in units of 1024 bytes.
  private static func systemAvailable() -> Int? { field("MemAvailable:", of: "/proc/meminfo").map { $0 * 1024 } }

  /// What is left of a container's limit, control groups of version 2 or 1; cached files count as free.
  private static func groupAvailable() -> Int? {
    let groups = [
      ("/sys/fs/cgroup", "memory.max", "memory.current"),
      ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ]
    for (folder, limit, use) in groups {
      guard let limit = number("\(folder)/\(limit)"), let use = number("\(folder)/\(use)") else { continue }
      let cached = ["active_file", "inactive_file"].compactMap { field($0, of: "\(folder)/memory.stat") }.reduce(0, +)
      return max(0, limit - max(0, use - cached))
    }
    return nil
  }

  /// The number that follows `name` on its line.
  private static func field(_ name: String, of path: String) -> Int? {
    for line in contents(path)?.split(separator: "\n") ?? [] {
      let words = line.split { $0 == " " || $0 == "\t" }
      if words.count >= 2 && words[0] == name { return Int(words[1]) }
    }
    return nil
  }

  private static func number(_ path: String) -> Int? { contents(path).flatMap { Int($0.prefix { $0 != "\n" }) } }

  /// A small file of `/proc` or `/sys`, whose size is not known before it is read.
  private static func contents(_ path: String) -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    let bytes = [UInt8](unsafeUninitializedCapacity: 1 << 14) { buffer, filled in
      filled = max(0, Glibc.read(descriptor, buffer.baseAddress, buffer.count))
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
