import CPUBackend
import Compute
import Testing

@Suite struct MemoryTests {
  @Test func blocksReturnToThePool() throws {
    let backend = CPUBackend()
    for _ in 0..<10 { _ = try backend.tensor([1000]) }
    #expect(backend.memory.allocations == 1)
    #expect(backend.memory.bytesInUse == 0)
    #expect(backend.memory.peakBytesInUse == 4032)
  }

  @Test func aSliceKeepsItsParentAlive() throws {
    let backend = CPUBackend()
    var parent: Tensor? = try backend.upload(HostTensor((0..<64).map(Float.init), shape: [64]))
    let storage = try #require(parent?.storage)
    let view = Tensor(shape: [16], type: .float32, storage: backend.slice(storage, offset: 128, byteCount: 64))
    parent = nil
    let other = try backend.tensor([64])
    backend.fill(other, with: -1)
    #expect(try backend.download(view).floats == (32..<48).map(Float.init))
  }

  @Test func aSliceAloneHoldsTheBlock() throws {
    let backend = CPUBackend()
    var slice: (any Storage)? = backend.slice(try backend.allocate(byteCount: 256), offset: 64, byteCount: 64)
    #expect(slice?.byteCount == 64)
    #expect(backend.memory.bytesInUse == 256)
    slice = nil
    #expect(backend.memory.bytesInUse == 0)
  }

  @Test func storageOutlivesTheBackend() throws {
    var backend: CPUBackend? = CPUBackend()
    let storage = try #require(try backend?.allocate(byteCount: 64))
    backend = nil
    let second = CPUBackend()
    let tensor = Tensor(shape: [16], type: .float32, storage: storage)
    second.fill(tensor, with: 3)
    #expect(try second.download(tensor).floats == [Float](repeating: 3, count: 16))
  }

  @Test(arguments: [DataType.float32, .float64]) func uploadsConvertToTheBackendsPrecision(precision: DataType) throws {
    let backend = CPUBackend(precision: precision)
    #expect(try backend.upload(HostTensor([0.5] as [Double], shape: [1])).type == precision)
    #expect(try backend.upload(HostTensor([0.5] as [Float], shape: [1])).type == precision)
    let labels = try backend.upload(HostTensor([3] as [Int32], shape: [1]).converted(to: .int64))
    #expect(labels.type == .int32)
    #expect(try backend.download(labels).doubles == [3])
  }
}
