import Compute
import OpenCLBackend
import Support
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
      #expect(failure.description.contains("batchSize"))
    }
  }

  @Test func profileNamesTheKernels() throws {
    let x = try backend.upload(HostTensor([Float](repeating: 1, count: 64), shape: [64]))
    backend.startProfile()
    try backend.relu(x, into: x)
    try backend.relu(x, into: x)
    let profile = try backend.endProfile()
    #expect(profile.kernels.count == 1)
    let kernel = try #require(profile.kernels.first)
    #expect(kernel.launches == 2 && kernel.kernel.hasPrefix("relu"))
    // The operand is read and written in place.
    #expect(kernel.bytes == 2 * 2 * 64 * 4)
    #expect(kernel.seconds > 0 && profile.span >= kernel.seconds)
  }

  @Test func profileCountsCommandsOfEveryKind() throws {
    let a = try backend.upload(HostTensor([Float](repeating: 1, count: 64 * 64), shape: [64, 64]))
    let (b, c) = try (backend.tensor([64, 64]), backend.tensor([64, 64]))
    backend.startProfile()
    try backend.fill(b, with: 1)
    try backend.copy(a, into: b)
    // With both operands transposed, CLBlast computes the product on every device.
    try backend.multiply(a, transposed: true, b, transposed: true, into: c)
    let profile = try backend.endProfile()
    let bytes = Dictionary(uniqueKeysWithValues: profile.kernels.map { ($0.kernel, $0.bytes) })
    let matrix = 64 * 64 * 4
    #expect(bytes == ["fill": matrix, "copy": 2 * matrix, "CLBlastSgemm": 3 * matrix])
    #expect(profile.kernels.allSatisfy { $0.launches == 1 && $0.seconds > 0 })
  }

  /// Checks more commands than may be pending, in two profiles that are added up.
  @Test func profilesOfLongRunsAddUp() throws {
    let x = try backend.upload(HostTensor([Float](repeating: 1, count: 64), shape: [64]))
    var sum = Profile()
    for count in [1, 10_000] {
      backend.startProfile()
      for _ in 0..<count { try backend.relu(x, into: x) }
      sum.merge(try backend.endProfile())
    }
    #expect(sum.kernels.count == 1)
    #expect(sum.kernels.first?.launches == 10_001)
    #expect(sum.kernels.first?.bytes == 10_001 * 2 * 64 * 4)
    #expect(sum.span >= sum.busy)
  }

  /// Checks that a Winograd convolution moves its workspaces in addition to its operands.
  @Test func profileCountsWorkspaces() throws {
    let geometry = Conv2D(input: [4, 16, 16, 32], filter: [3, 3, 32, 32], padding: 1)
    let workspaces = backend.workspaceByteCounts(.convolution(ConvolutionWork(.forward, geometry))).reduce(0, +)
    let (x, filter, y) = try (backend.tensor(geometry.input), backend.tensor(geometry.filter), backend.tensor(geometry.output))
    for tensor in [x, filter] { try backend.fill(tensor, with: 1) }
    backend.startProfile()
    try backend.convolution(x, filter: filter, geometry, into: y)
    // Each workspace is written once and read once.
    #expect(try backend.endProfile().bytes == x.byteCount + filter.byteCount + y.byteCount + 2 * workspaces)
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
