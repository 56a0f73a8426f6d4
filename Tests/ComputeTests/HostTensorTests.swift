import Compute
import Testing

@Suite struct HostTensorTests {
  @Test func elementsSurviveTheRoundTrip() {
    let tensor = HostTensor([1.5, -2, .infinity] as [Float], shape: [3])
    #expect(tensor.elements(as: Float.self) == [1.5, -2, .infinity])
    #expect(tensor.bytes.count == 12)
    #expect(tensor.doubles == [1.5, -2, .infinity])
  }

  @Test(arguments: DataType.allCases) func smallIntegersSurviveEveryType(type: DataType) {
    let tensor = HostTensor([0, 1, 255] as [Int32], shape: [3])
    let converted = tensor.converted(to: type)
    #expect(converted.type == type)
    #expect(converted.bytes.count == 3 * type.byteCount)
    #expect(converted.converted(to: .int32) == tensor)
  }

  /// Covers ties, values beyond the largest half, and subnormal numbers.
  @Test func float16IsRoundedToNearest() {
    let values: [Float] = [1, 1 + 0x1p-11, 1 + 0x1.8p-10, -65504, 65519.996, 65520, 0x1p-24, 0x1p-25, 0x1.8p-25, -0.0, .infinity]
    let halves = HostTensor(values, shape: [values.count]).converted(to: .float16)
    let expected: [Float] = [1, 1, 1 + 0x1p-9, -65504, 65504, .infinity, 0x1p-24, 0, 0x1p-24, -0.0, .infinity]
    #expect(halves.floats == expected)
    #expect(HostTensor([Float.nan], shape: [1]).converted(to: .float16).floats[0].isNaN)
    #expect(!halves.isFinite && HostTensor([Float(3)], shape: [1]).converted(to: .float16).isFinite)
  }

  @Test func bfloat16IsRoundedToNearest() {
    let values: [Float] = [1, 1 + 0x1p-8, 1 + 0x1.8p-7, 1 + 0x1.01p-8, -3.5, 0x1p-133, .greatestFiniteMagnitude, -.infinity]
    let stored = HostTensor(values, shape: [values.count]).converted(to: .bfloat16)
    let expected: [Float] = [1, 1, 1 + 0x1p-6, 1 + 0x1p-7, -3.5, 0x1p-133, .infinity, -.infinity]
    #expect(stored.floats == expected)
    // Rounding up must not change a NaN into another value.
    for bits: UInt32 in [0x7FC0_0000, 0x7FFF_FFFF, 0xFFFF_FFFF, 0x7F80_0001] {
      let nan = HostTensor([Float(bitPattern: bits)], shape: [1]).converted(to: .bfloat16)
      #expect(nan.floats[0].isNaN, "\(bits)")
      #expect(!nan.isFinite)
    }
  }

  @Test func reshapingKeepsTheBytes() {
    let tensor = HostTensor([1, 2, 3, 4, 5, 6] as [UInt8], shape: [2, 3])
    #expect(tensor.reshaped([3, 2]).bytes == tensor.bytes)
    #expect(tensor.reshaped([3, 2]).shape == [3, 2])
  }
}
