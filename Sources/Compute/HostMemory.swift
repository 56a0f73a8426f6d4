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

  /// Bytes that the machine has; nil where the system does not tell.
  public static func total() -> Int? { field("MemTotal:", of: "/proc/meminfo").map { $0 * 1024 } }

  /// The most bytes of the machine's memory that this process has held at a time so far; nil where the system does not tell.
  public static func residentPeak() -> Int? { field("VmHWM:", of: "/proc/self/status").map { $0 * 1024 } }

  /// `MemAvailable` of `/proc/meminfo`, which counts in units of 1024 bytes.
  private static func systemAvailable() -> Int? { field("MemAvailable:", of: "/proc/meminfo").map { $0 * 1024 } }

  /// What is left of the limits on the process's control group and on those above it, version 2 or 1; cached files count as free.
  /// Nil where none is limited.
  /// - Parameters:
  ///   - process: the file that names the process's groups.
  ///   - root: where control groups are mounted.
  package static func groupAvailable(process: String = "/proc/self/cgroup", root: String = "/sys/fs/cgroup") -> Int? {
    // A line is `number:controllers:/path`, in version 2 `0::/path`.
    (contents(process) ?? "").split(separator: "\n").compactMap { line in
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { return nil }
      if parts[1].isEmpty { return available(root, parts[2], limit: "memory.max", use: "memory.current") }
      guard parts[1].split(separator: ",").contains("memory") else { return nil }
      return available("\(root)/memory", parts[2], limit: "memory.limit_in_bytes", use: "memory.usage_in_bytes")
    }.min()
  }

  /// The least that is left from the group at `path` up to the root. In a container the path may be one of the host's, of which
  /// only the upper end is to be seen: what is not there is passed over.
  private static func available(_ root: String, _ path: Substring, limit: String, use: String) -> Int? {
    let names = path.split(separator: "/")
    return (0...names.count).compactMap { depth in
      let folder = ([root[...]] + names.prefix(depth)).joined(separator: "/")
      guard let limit = number("\(folder)/\(limit)"), let use = number("\(folder)/\(use)") else { return nil }
      let cached = ["active_file", "inactive_file"].compactMap { field($0, of: "\(folder)/memory.stat") }.reduce(0, +)
      return max(0, limit - max(0, use - cached))
    }.min()
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
  static func contents(_ path: String) -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    let bytes = [UInt8](unsafeUninitializedCapacity: 1 << 14) { buffer, filled in
      filled = max(0, Glibc.read(descriptor, buffer.baseAddress, buffer.count))
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
