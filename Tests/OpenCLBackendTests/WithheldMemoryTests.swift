import OpenCLBackend
import Testing

/// Tests the message for a PoCL that offers less memory than the machine has.
@Suite struct WithheldMemoryTests {
  private let machine = 24 << 30

  @Test func whatPoCLLeavesToOthersIsNoLoss() {
    #expect(WithheldMemory.advice(offered: 22 << 30, machine: machine, units: 2, limit: nil) == nil)
    #expect(WithheldMemory.advice(offered: 3 << 30, machine: 4 << 30, units: 2, limit: nil) == nil)
  }

  @Test func theVariableThatLimitsIsNamed() {
    let message = WithheldMemory.advice(offered: 4 << 30, machine: machine, units: 2, limit: 4)
    #expect(message == "PoCL offers 4295 MB of this machine's 26 GB, as POCL_MEMORY_LIMIT=4 says: raise it, or unset it")
  }

  /// Simulates virtual machines that got memory after the start: the system reports only the first part to hwloc.
  @Test func theVariableThatLiftsIsNamed() {
    for limit in [nil, 30] {
      let message = WithheldMemory.advice(offered: 9 << 30, machine: machine, units: 8, limit: limit)
      #expect(message?.contains("set HWLOC_SYNTHETIC='[numa(memory=25GB)] pu:8'") == true, "\(message ?? "")")
    }
  }
}
