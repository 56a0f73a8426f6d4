/// The machine's own processor, which CPU devices are.
public enum HostProcessor {
  /// Whether it has an instruction set, by Linux's name for it, and the system lets programs use it.
  public static func has(_ flag: String) -> Bool {
    (HostMemory.contents("/proc/cpuinfo") ?? "").split(separator: "\n").first { $0.hasPrefix("flags") }?
      .split(separator: " ").contains(flag[...]) ?? false
  }
}
