import CPUBackend
import Compute
import Conformance
import OpenCLBackend
import Testing

/// Checks every case of the catalog on the machine's best OpenCL device against the CPU reference.
@Suite struct ConformanceTests {
  private static func device() throws -> OpenCLBackend { try OpenCLBackend(device: DeviceList.find("opencl").device) }

  @Test func smallCasesAgreeWithTheReference() throws {
    try expectAll(Catalog.small, on: try Self.device())
  }

  @Test func realShapesAgreeWithTheReference() throws {
    try expectAll(Catalog.real(batch: 2), on: try Self.device())
  }

  @Test func activationsOfSixteenBitsAgreeWithTheReference() throws {
    try expectAll(Catalog.sample(Catalog.half, oneOf: 4), on: try Self.device())
  }

  @Test func gradientsAreTheAdjointsOfTheirOperations() throws {
    let backend = try Self.device()
    for subject in Conformance.gradientCases where !subject.needsFloat64 {
      let outcome = try subject.check(on: backend)
      #expect(outcome.passed, "\(outcome.name): \(outcome.message)")
    }
  }

  /// Checks the kernels as they are adapted to other CPUs: narrower vectors, fewer registers, and a local memory so small
  /// that convolutions fall back on the plain kernel.
  @Test(arguments: [(8, 12, 32 << 10), (4, 12, 256)])
  func choicesForOtherDevicesAgreeToo(width: Int, accumulators: Int, localMemory: Int) throws {
    let device = try DeviceList.find("opencl").device
    var traits = try DeviceTraits(device)
    traits.vectorWidth = width
    traits.accumulators = accumulators
    traits.localMemory = min(localMemory, traits.localMemory)
    traits.kernelClass = .registerTiled
    traits.wantedItems = 64
    let cases = Catalog.sample(Catalog.small, oneOf: 5, from: width == 8 ? 0 : 1)
    try expectAll(cases, on: try OpenCLBackend(device: device, traits: traits))
  }

  @Test func largeWinogradTilesAgreeToo() throws {
    let device = try DeviceList.find("opencl").device
    var traits = try DeviceTraits(device)
    traits.winogradSide = 4
    let cases = Catalog.all.filter { $0.operation.hasPrefix("convolution") && $0.name.contains("3×3 stride 1") }
    try expectAll(Catalog.sample(cases, oneOf: 4), on: try OpenCLBackend(device: device, traits: traits))
  }

  /// Tests vectors of sixteen and of eight floats, and all storage types.
  @Test(.enabled(if: try FastMathematics.isThere, FastMathematics.comment), arguments: [16, 8])
  func pairsOfBfloat16AgreeWithTheReference(width: Int) throws {
    let backend = try FastMathematics.backend(width: width)
    #expect(backend.factorType(storing: .float32) == .bfloat16)
    let cases = (Catalog.small + Catalog.half).filter { $0.operation.hasPrefix("convolution") }
    try expectAll(Catalog.sample(cases, oneOf: 6, from: width == 8 ? 0 : 1), on: backend)
    var errors: [Double] = []
    for subject in Conformance.gradientCases where subject.name.hasPrefix("convolution") {
      let outcome = try subject.check(on: backend, multiplying: .bfloat16)
      #expect(outcome.passed, "\(outcome.name): \(outcome.message)")
      errors.append(outcome.error)
    }
    // The error is larger than that of float32, so pairs of bfloat16 were really tested.
    #expect((errors.max() ?? 0) > 1e-5)
  }

  /// Checks that fast mathematics is exact on a device that does not multiply pairs.
  @Test func fastMathematicsIsExactWithoutPairs() throws {
    let device = try DeviceList.find("opencl").device
    var traits = try DeviceTraits(device)
    (traits.math, traits.multipliesPairs) = (.fast, false)
    let backend = try OpenCLBackend(device: device, traits: traits)
    #expect(backend.factorType(storing: .float32) == .float32)
    let cases = Catalog.small.filter { $0.operation.hasPrefix("convolution") }
    try expectAll(Catalog.sample(cases, oneOf: 6, from: 2), on: backend)
  }

  private func expectAll(_ cases: [Case], on backend: OpenCLBackend) throws {
    let reference = CPUBackend()
    #expect(cases.count > 50)
    for subject in cases {
      let outcome = try Conformance.check(
        subject.multiplying(backend.factorType(storing: subject.storage)), on: backend, against: reference)
      #expect(outcome.passed, "\(outcome.name): \(outcome.message)")
    }
  }
}
