import Compute
import Support
import Testing

@Suite struct LimitTests {
  @Test func shapesAreCountedWithoutOverflow() {
    #expect(Shape([2, 3, 4]).count(within: 24) == 24)
    #expect(Shape([2, 3, 4]).count(within: 23) == nil)
    #expect(Shape([.max, .max, .max]).count(within: .max) == nil)
    #expect(Shape([.max, 0, .max]).count(within: 1) == nil)
    #expect(Shape([2, 0, 3]).count(within: 6) == 0)
    #expect(Shape([]).count(within: 1) == 1)
  }

  @Test func finiteValuesAreTold() {
    #expect(HostTensor([1, -3.4e38] as [Float], shape: [2]).isFinite)
    for value in [Float.nan, .infinity, -.infinity] { #expect(!HostTensor([0, value], shape: [2]).isFinite) }
    #expect(!HostTensor([Double.nan], shape: [1]).isFinite)
    #expect(HostTensor([-1] as [Int32], shape: [1]).isFinite)
  }

  @Test func theMachineHasMemory() { #expect(HostMemory.available() > 1 << 20) }

  @Test func bytesAreRoundedUp() {
    #expect(rounded(bytes: 0) == "0 MB" && rounded(bytes: 1) == "1 MB" && rounded(bytes: 2_000_001) == "3 MB")
    #expect(rounded(bytes: 10_000_000_000) == "10 GB" && rounded(bytes: .max) == "9223372037 GB")
  }
}
