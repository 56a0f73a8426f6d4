import Glibc

/// The machine's own memory, which CPU devices share with all other programs.
public enum HostMemory {
  /// Returns the number of bytes that devices in this memory can take before the system would have to kill something, or refuses
  /// memory. This is the memory that the kernel calls available, or less if a control group or the process has a limit. Only
  /// 19/20 of it count, since the process itself needs some. Returns `Int.max` if the system gives no number.
  public static func available() -> Int {
    let bytes = min(systemAvailable() ?? .max, groupAvailable() ?? .max, processAvailable() ?? .max)
    return bytes == .max ? bytes : bytes / 20 * 19
  }

  /// Advice that tells which limit bounds ``available()``; nil if it is the machine itself.
  public static func advice() -> String? {
    let (group, process) = (groupAvailable() ?? .max, processAvailable() ?? .max)
    guard min(group, process) < systemAvailable() ?? .max else { return nil }
    return process < group
      ? "a limit of this process leaves \(rounded(bytes: process)) of memory: raise it (`ulimit -v`, `ulimit -d`)"
      : "the limit of this process's control group leaves \(rounded(bytes: group)) of memory: raise it"
  }

  /// Returns the machine's memory in bytes; nil if the system gives no number.
  public static func total() -> Int? { field("MemTotal:", of: "/proc/meminfo").map { $0 * 1024 } }

  /// Returns the peak resident memory of this process so far, in bytes; nil if the system gives no number.
  public static func residentPeak() -> Int? { field("VmHWM:", of: "/proc/self/status").map { $0 * 1024 } }

  /// Returns `MemAvailable` of `/proc/meminfo`, which counts in units of 1024 bytes, in bytes.
  private static func systemAvailable() -> Int? { field("MemAvailable:", of: "/proc/meminfo").map { $0 * 1024 } }

  /// Returns the bytes that remain under the process's own limits on its address space and its data; nil if it has none.
  /// - Parameters:
  ///   - limits: path of the file that names the process's limits, in bytes.
  ///   - status: path of the file that says what it uses, in units of 1024 bytes.
  package static func processAvailable(limits: String = "/proc/self/limits", status: String = "/proc/self/status") -> Int? {
    let lines = (contents(limits) ?? "").split(separator: "\n")
    return [("Max address space", "VmSize:"), ("Max data size", "VmData:")].compactMap { name, use in
      let line = lines.first { $0.hasPrefix(name) }
      // The limit that counts comes first, and is a number or `unlimited`.
      guard let limit = line?.dropFirst(name.count).split(separator: " ").first.flatMap({ Int($0) }),
        let used = field(use, of: status)
      else { return nil }
      return max(0, limit - used * 1024)
    }.min()
  }

  /// Returns the bytes that remain under the limits of the process's control group and of the groups above it, version 2 or 1.
  /// Cached files count as free. Returns nil if no group has a limit.
  /// - Parameters:
  ///   - process: path of the file that names the process's groups.
  ///   - root: mount point of the control groups.
  package static func groupAvailable(process: String = "/proc/self/cgroup", root: String = "/sys/fs/cgroup") -> Int? {
    // A line is `number:controllers:/path`; in version 2 it is `0::/path`.
    (contents(process) ?? "").split(separator: "\n").compactMap { line in
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { return nil }
      if parts[1].isEmpty { return available(root, parts[2], limit: "memory.max", use: "memory.current") }
      guard parts[1].split(separator: ",").contains("memory") else { return nil }
      return available("\(root)/memory", parts[2], limit: "memory.limit_in_bytes", use: "memory.usage_in_bytes")
    }.min()
  }

  /// Returns the smallest remainder of all groups from the one at `path` up to the root. In a container, the path may be one of
  /// the host's, of which only the upper end is visible. Missing folders are skipped.
  private static func available(_ root: String, _ path: Substring, limit: String, use: String) -> Int? {
    let names = path.split(separator: "/")
    return (0...names.count).compactMap { depth in
      let folder = ([root[...]] + names.prefix(depth)).joined(separator: "/")
      guard let limit = number("\(folder)/\(limit)"), let use = number("\(folder)/\(use)") else { return nil }
      let cached = ["active_file", "inactive_file"].compactMap { field($0, of: "\(folder)/memory.stat") }.reduce(0, +)
      return max(0, limit - max(0, use - cached))
    }.min()
  }

  /// Returns the number that follows `name` on its line.
  private static func field(_ name: String, of path: String) -> Int? {
    for line in contents(path)?.split(separator: "\n") ?? [] {
      let words = line.split { $0 == " " || $0 == "\t" }
      if words.count >= 2 && words[0] == name { return Int(words[1]) }
    }
    return nil
  }

  private static func number(_ path: String) -> Int? { contents(path).flatMap { Int($0.prefix { $0 != "\n" }) } }

  /// Reads a small file of `/proc` or `/sys`, whose size is not known before it is read.
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
