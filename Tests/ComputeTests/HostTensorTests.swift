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

  @Test func reshapingKeepsTheBytes() {
    let tensor = HostTensor([1, 2, 3, 4, 5, 6] as [UInt8], shape: [2, 3])
    #expect(tensor.reshaped([3, 2]).bytes == tensor.bytes)
    #expect(tensor.reshaped([3, 2]).shape == [3, 2])
  }
}
