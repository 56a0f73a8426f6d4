/// The machine's own processor, on which CPU devices run.
public enum HostProcessor {
  /// Returns whether the processor has an instruction set and the system lets programs use it. `flag` is Linux's name of the set.
  public static func has(_ flag: String) -> Bool {
    (HostMemory.contents("/proc/cpuinfo") ?? "").split(separator: "\n").first { $0.hasPrefix("flags") }?
      .split(separator: " ").contains(flag[...]) ?? false
  }
}
