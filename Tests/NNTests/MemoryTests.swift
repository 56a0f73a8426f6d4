import CPUBackend
import Compute
import DryRun
import NN
import Testing

/// Checks the memory that a pass holds while it runs, with a dry run.
@Suite struct MemoryTests {
  /// Bytes of an activation [2,8,8,16]. Channel statistics take one unit of 128 bytes each.
  private let activation = 2 * 8 * 8 * 16 * 4

  private struct Chain {
    let units: [ConvolutionUnit]
    let store = ParameterStore()

    init(count: Int) {
      let root = store.root
      units = (0..<count).map { i in
        ConvolutionUnit(root / "conv\(i)", root / "bn\(i)", inputs: 16, outputs: 16, window: 3)
      }
    }
  }

  @Test func activationsAreReleasedAsBackwardProceeds() throws {
    let (backend, chain) = (DryRunBackend(), Chain(count: 4))
    try chain.store.allocate(on: backend)
    let images = try backend.tensor([2, 8, 8, 16])
    let base = backend.memory.bytesInUse

    let pass = Pass(on: backend, mode: .training)
    let slot = try forward(chain, Variable(images), pass)
    // The last result is not kept: the backward pass recomputes where ReLU let it pass.
    #expect(backend.memory.bytesInUse == base + 4 * (2 * activation + 2 * 128) - activation)

    try slot.add(backend.tensor([2, 8, 8, 16]), on: backend)
    var inUse: [String: Int] = [:]
    pass.onLayer = { inUse[$0] = backend.memory.bytesInUse - base }
    try pass.backward()
    for i in 0..<4 {
      // On entry to unit i, the values kept by later units are released. The gradient has the size of the result, which is
      // released too.
      #expect(inUse["bn\(i)"] == (i + 1) * (2 * activation + 2 * 128))
      // On entry to its convolution, its batch norm has released two activations; one is still the input of the convolution
      // before it.
      #expect(inUse["conv\(i)"] == i * (2 * activation + 2 * 128) + activation)
    }
    #expect(backend.memory.bytesInUse == base)
  }

  /// Runs the forward pass in a separate function, so that no local variable outlives it in an unoptimized build.
  private func forward(_ chain: Chain, _ images: Variable, _ pass: Pass) throws -> GradientSlot {
    var x = images
    for unit in chain.units { x = try unit(x, relu: true, pass) }
    return try #require(x.slot)
  }

  @Test func inferenceHoldsTwoActivationsAtMost() throws {
    let (backend, chain) = (DryRunBackend(), Chain(count: 5))
    try chain.store.allocate(on: backend)
    let images = try backend.tensor([2, 8, 8, 16])
    let base = backend.memory.bytesInUse
    var x = Variable(images)
    let pass = Pass(on: backend, mode: .inference)
    for unit in chain.units { x = try unit(x, relu: true, pass) }
    // The values derived from the parameters are added: a prepared filter, a scale and a bias per unit.
    #expect(backend.memory.peakBytesInUse == base + 2 * activation + 5 * (9 * 16 * 16 * 4 + 2 * 128))
  }

  @Test func theSecondStepAllocatesNothing() throws {
    let (backend, chain) = (DryRunBackend(), Chain(count: 3))
    try chain.store.allocate(on: backend)
    let optimizer = try Optimizer(chain.store)
    var allocations: [Int] = []
    for _ in 0..<3 {
      let pass = Pass(on: backend, mode: .training)
      let slot = try forward(chain, Variable(try backend.tensor([2, 8, 8, 16])), pass)
      try slot.add(backend.tensor([2, 8, 8, 16]), on: backend)
      try pass.backward()
      try optimizer.accumulate()
      try optimizer.step(learningRate: 0.1)
      allocations.append(backend.memory.allocations)
    }
    #expect(allocations[0] == allocations[1] && allocations[1] == allocations[2])
  }

  @Test func dryRunCountsWorkAndTraffic() throws {
    let backend = DryRunBackend()
    let geometry = Conv2D(input: [2, 8, 8, 16], filter: [3, 3, 16, 32], stride: 2, padding: 1)
    backend.layer = "conv"
    let x = try backend.tensor(geometry.input)
    let (filter, y) = try (backend.tensor(geometry.filter), backend.tensor(geometry.output))
    try backend.convolution(x, filter: filter, geometry, into: y)
    let record = try #require(backend.operations.last)
    #expect(record.layer == "conv" && record.output == [2, 4, 4, 32])
    #expect(record.shapes == "[2, 8, 8, 16], [3, 3, 16, 32] → [2, 4, 4, 32]")
    #expect(record.macs == 2 * 4 * 4 * 32 * 9 * 16)
    #expect(record.bytes == 4 * (2 * 64 * 16 + 9 * 16 * 32 + 2 * 16 * 32))

    try backend.convolutionInputGradient(y, filter: filter, geometry, accumulate: true, into: x)
    let updated = try #require(backend.operations.last)
    #expect(updated.bytes == 4 * (2 * 2 * 64 * 16 + 9 * 16 * 32 + 2 * 16 * 32))
    #expect(updated.updatedBytes == 4 * 2 * 64 * 16)
    #expect(record.name == "convolution 2×8×8×16 → 4×4×32, 3×3 stride 2 padding 1")
    #expect(updated.detail == "2×8×8×16 → 4×4×32, 3×3 stride 2 padding 1, added")
    try backend.relu(x, into: x)
    try backend.relu(x, into: x)
    #expect(backend.operations.last?.name == "relu [2, 8, 8, 16], in place")
    #expect(backend.totals.map(\.operation) == ["convolution", "convolutionInputGradient", "relu"])
    #expect(backend.totals.map(\.calls) == [1, 1, 2])
    #expect(try backend.download(y).floats.allSatisfy { $0 == 0 })
  }

  /// Checks the operations that no training step of a model calls. The models' tests check the others.
  @Test func operationsRunAgainFromTheirRecords() throws {
    let backend = DryRunBackend()
    let (a, b) = try (backend.tensor([4, 8, 8, 3]), backend.tensor([4, 8, 8, 3]))
    let (images, labels) = try (backend.tensor([9, 10, 10, 3], .uint8), backend.tensor([9], .int32))
    let (plan, channelMap) = try (backend.tensor([4, 4], .int32), backend.tensor([2, 3]))
    try backend.fill(a, with: 2)
    try backend.copy(a, into: b)
    try backend.add(a, b, relu: true, into: a)
    try backend.reluGradient(a, y: b, into: a)
    try backend.softmax(a.reshaped([4, 192]), into: b.reshaped([4, 192]))
    try backend.gatherBatch(
      images: images, labels: labels, plan: plan, channelMap: channelMap, into: a, batchLabels: try backend.tensor([4], .int32))
    let records = backend.operations
    #expect(records.last?.bytes == 64 + 24 + 4 * 768 + 16 + 768 + 16)
    for record in records {
      let (again, reference) = (DryRunBackend(), CPUBackend())
      try record.prepare(on: again)()
      let copy = try #require(again.operations.last)
      #expect(copy.name == record.name && copy.shapes == record.shapes && copy.bytes == record.bytes)
      try record.prepare(on: reference)()
    }
  }
}
