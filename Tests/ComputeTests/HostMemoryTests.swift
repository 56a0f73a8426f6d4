import Compute
import Support
import TestSupport
import Testing

@Suite struct HostMemoryTests {
  private let root: TemporaryFolder

  init() throws { root = try TemporaryFolder() }

  private func write(_ text: String, to path: String) throws {
    try TestSupport.write(Array(text.utf8), to: "\(root.path)/\(path)")
  }

  private func available(_ groups: String) throws -> Int? {
    try write(groups, to: "process")
    return HostMemory.groupAvailable(process: root.path + "/process", root: root.path)
  }

  @Test func theTightestLimitOnTheWayUpCounts() throws {
    try write("max\n", to: "a/b/memory.max")
    try write("10\n", to: "a/b/memory.current")
    try write("1000\n", to: "a/memory.max")
    try write("400\n", to: "a/memory.current")
    try write("anon 1\nactive_file 30\ninactive_file 20\n", to: "a/memory.stat")
    try write("700\n", to: "other/memory.max")
    try write("0\n", to: "other/memory.current")
    #expect(try available("0::/a/b\n") == 650)
    #expect(try available("0::/other\n") == 700)
    #expect(try available("0::/\n") == nil)
    // Groups that a container cannot see are skipped.
    #expect(try available("0::/a/gone/c\n") == 650)
    #expect(try available("nonsense\n") == nil)
  }

  @Test func versionOneHasAHierarchyOfItsOwn() throws {
    try write("9223372036854771712\n", to: "memory/memory.limit_in_bytes")
    try write("5000\n", to: "memory/memory.usage_in_bytes")
    try write("300\n", to: "memory/job/memory.limit_in_bytes")
    try write("500\n", to: "memory/job/memory.usage_in_bytes")
    #expect(try available("5:cpu,cpuacct:/job\n4:memory:/job\n0::/\n") == 0)
    #expect(try available("4:hugetlb,memory:/\n") == 9_223_372_036_854_766_712)
  }

  @Test func limitsOfTheProcessCount() throws {
    func available(_ limits: String) throws -> Int? {
      try write(limits, to: "limits")
      try write("Name:\tresnet\nVmSize:\t    100 kB\nVmData:\t     40 kB\n", to: "status")
      return HostMemory.processAvailable(limits: root.path + "/limits", status: root.path + "/status")
    }
    let title = "Limit                     Soft Limit           Hard Limit           Units     \n"
    let space = "Max address space         204800               unlimited            bytes     \n"
    let data = "Max data size             81920                409600               bytes     \n"
    #expect(try available(title + space + data) == 81920 - 40960)
    #expect(try available(title + space) == 204800 - 102400)
    #expect(try available(title + "Max address space         1024                 1024                 bytes     \n") == 0)
    #expect(try available(title + "Max address space         unlimited            unlimited            bytes     \n") == nil)
    #expect(try available("") == nil)
  }

  @Test func theProcessHoldsMemory() throws {
    #expect(try #require(HostMemory.residentPeak()) > 1 << 20)
    #expect(HostMemory.available() > 0)
  }
}
