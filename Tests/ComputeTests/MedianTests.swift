import Compute
import Support
import Testing

@Suite struct MedianTests {
  @Test(arguments: [([3], 3), ([9, 1, 4], 4), ([4, 1], 2.5), ([8, 2, 100, 4], 6)] as [([Double], Double)])
  func middle(values: [Double], expected: Double) { #expect(values.median == expected) }
}
