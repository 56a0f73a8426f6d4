import Compute
import OpenCLBackend
import Testing

@Suite struct BackendTests {
  private let backend: OpenCLBackend

  init() throws { backend = try OpenCLBackend(device: DeviceList.find("opencl").device, profiling: true) }

  @Test func releasedMemoryIsUsedAgain() throws {
    for _ in 0..<3 { _ = try backend.tensor([1000]) }
    #expect(backend.memory.allocations == 1)
    #expect(backend.memory.bytesInUse == 0)
    let both = [try backend.tensor([1000]), try backend.tensor([1000])]
    #expect(backend.memory.allocations == 2)
    #expect(backend.memory.bytesInUse >= both.reduce(0) { $0 + $1.byteCount })
  }

  @Test func sliceKeepsItsParentAlive() throws {
    var parent: Tensor? = try backend.upload(HostTensor((0..<256).map(Float.init), shape: [256]))
    let storage = try backend.slice(try #require(parent).storage, offset: backend.alignment, byteCount: 16)
    parent = nil
    let other = try backend.tensor([256])
    try backend.fill(other, with: -1)
    let first = Float(backend.alignment / 4)
    #expect(
      try backend.download(Tensor(shape: [4], type: .float32, storage: storage)).floats == [
        first, first + 1, first + 2, first + 3,
      ])
  }

  @Test func tooLargeAnAllocationSaysWhatToDo() throws {
    do {
      _ = try backend.allocate(byteCount: 1 << 50)
      Issue.record("a petabyte was allocated")
    } catch let failure as Failure {
      #expect(failure.description.contains("--batch-size"))
    }
  }

  @Test func profileNamesTheKernels() throws {
    let x = try backend.upload(HostTensor([Float](repeating: 1, count: 64), shape: [64]))
    backend.startProfile()
    try backend.relu(x, into: x)
    try backend.relu(x, into: x)
    let profile = try backend.endProfile()
    #expect(profile.count == 1)
    #expect(profile.first?.launches == 2)
    #expect(profile.first?.kernel.hasPrefix("relu") == true)
  }

  @Test func selectorsFindDevicesOrSayWhatThereIs() throws {
    let first = try #require(try DeviceList.all().first)
    #expect(try DeviceList.find(first.selector).selector == first.selector)
    do {
      _ = try DeviceList.find("opencl:77.0")
      Issue.record("platform 77 was found")
    } catch let failure as Failure {
      #expect(failure.description.contains(first.selector))
    }
  }

  @Test func peaksAreMeasured() throws {
    let peaks = try backend.measurePeaks()
    #expect(peaks.flops > 1e8 && peaks.flops.isFinite)
    #expect(peaks.bytes > 1e8 && peaks.bytes.isFinite)
  }
}
