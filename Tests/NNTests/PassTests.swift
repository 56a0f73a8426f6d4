import CPUBackend
import Compute
import DryRun
import NN
import Testing

/// Tests the tape, on a backend whose arithmetic is exact for these small integers.
@Suite struct PassTests {
  private let backend = CPUBackend(precision: .float64)

  private func variable(_ values: [Double], _ shape: Shape) throws -> Variable {
    Variable(try backend.upload(HostTensor(values, shape: shape)), slot: GradientSlot())
  }

  private func gradient(_ variable: Variable) throws -> [Double] {
    try backend.download(#require(variable.slot?.gradient)).doubles
  }

  /// Runs the backward pass from `y` with the gradient `dy`.
  private func backward(_ pass: Pass, from y: Variable, _ dy: [Double]) throws {
    try #require(y.slot).add(backend.upload(HostTensor(dy, shape: y.shape)), on: backend)
    try pass.backward()
  }

  @Test func gradientsOfSeveralConsumersAreAdded() throws {
    let pass = Pass(on: backend, mode: .training)
    let x = try variable([-1, 2, 3], [1, 3])
    // Computes y = relu(x) + x + x.
    let y = try pass.add(pass.add(pass.relu(x), x), x)
    try backward(pass, from: y, [1, 10, 100])
    #expect(try gradient(x) == [2, 30, 300])
  }

  @Test func aValueAddedToItselfCountsTwice() throws {
    let pass = Pass(on: backend, mode: .training)
    let x = try variable([-1, 2], [1, 2])
    let y = try pass.add(x, x, relu: true)
    #expect(try backend.download(y.value).doubles == [0, 4])
    try backward(pass, from: y, [1, 10])
    #expect(try gradient(x) == [0, 20])
  }

  @Test func addOwnsTheGradientsItHandsOut() throws {
    let pass = Pass(on: backend, mode: .training)
    let (a, b) = (try variable([1, 2], [1, 2]), try variable([3, 4], [1, 2]))
    // ReLU masks its gradient in place: the gradient of b must not change.
    let y = try pass.add(pass.relu(a), b)
    let constant = Variable(try backend.upload(HostTensor([5.0, 6], shape: [1, 2])))
    let z = try pass.add(constant, y)
    try backward(pass, from: z, [7, 8])
    #expect(try gradient(a) == [7, 8])
    #expect(try gradient(b) == [7, 8])
  }

  /// Checks that the gradient of x through several operations is the sum of the gradients through each alone.
  @Test func convolutionsAndShortcutsAccumulate() throws {
    let values: [Double] = (0..<64).map { (i: Int) -> Double in Double((i * 7) % 11 - 5) }
    let store = ParameterStore()
    let first = Conv2DLayer(store.root / "a", inputs: 2, outputs: 4, window: 3, stride: 2)
    let second = Conv2DLayer(store.root / "b", inputs: 2, outputs: 4, window: 1, stride: 2)
    try store.allocate(on: backend, seed: 1)
    let branches: [(Variable, Pass) throws -> Variable] = [
      { try first($0, $1) }, { try second($0, $1) }, { try $1.padShortcut($0, stride: 2, channels: 4) },
      { try $1.padShortcut($0, stride: 2, channels: 4) }, { try $1.maxPool($0, window: 2, stride: 2, padding: 0) },
    ]
    func gradientThrough(_ indices: [Int]) throws -> [Double] {
      let pass = Pass(on: backend, mode: .training)
      let x = try variable(values, [2, 4, 4, 2])
      for index in indices {
        let y = try branches[index](x, pass)
        let dy: [Double] = (0..<y.shape.count).map { (i: Int) -> Double in Double((i * 5) % 7 - 3) }
        try #require(y.slot).add(backend.upload(HostTensor(dy, shape: y.shape)), on: backend)
      }
      try pass.backward()
      return try gradient(x)
    }
    let single = try branches.indices.map { try gradientThrough([$0]) }
    for order in [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0], [0, 2], [1, 4]] {
      let expected: [Double] = values.indices.map { i in order.map { single[$0][i] }.reduce(0, +) }
      let found = try gradientThrough(order)
      #expect(zip(found, expected).allSatisfy { abs($0 - $1) < 1e-12 })
      #expect(found.contains { $0 != 0 })
    }
  }

  @Test func whatTheLossDoesNotDependOnIsSkipped() throws {
    let store = ParameterStore()
    let layer = LinearLayer(store.root / "fc", inputs: 2, outputs: 3)
    try store.allocate(on: backend, seed: 1)
    let pass = Pass(on: backend, mode: .training)
    let x = try variable([1, -2], [1, 2])
    let y = try pass.relu(x)
    _ = try layer(x, pass)
    try backward(pass, from: y, [5, 6])
    #expect(try gradient(x) == [5, 0])
    #expect(try backend.download(layer.weight.gradient).doubles.allSatisfy { $0 == 0 })
  }

  @Test func valuesWithoutASlotGetNoGradient() throws {
    let store = ParameterStore()
    let layer = Conv2DLayer(store.root / "conv", inputs: 1, outputs: 2, window: 3)
    let dryRun = DryRunBackend()
    try store.allocate(on: dryRun)
    let pass = Pass(on: dryRun, mode: .training)
    let images = Variable(try dryRun.tensor([1, 4, 4, 1]))
    #expect(try pass.maxPool(images, window: 2, stride: 2).slot == nil)
    let y = try layer(images, pass)
    try #require(y.slot).add(dryRun.tensor(y.shape), on: dryRun)
    try pass.backward()
    let calls = dryRun.operations.map(\.operation)
    #expect(calls.contains("convolutionFilterGradient") && !calls.contains("convolutionInputGradient"))
  }

  @Test func inferenceRecordsNothing() throws {
    let store = ParameterStore()
    let norm = BatchNormLayer(store.root / "bn", channels: 2)
    try store.allocate(on: backend, seed: 1)
    let pass = Pass(on: backend, mode: .inference)
    let x = try variable([1, 2, 3, 4], [2, 2])
    let y = try norm(x, relu: true, pass)
    #expect(y.slot == nil && y.value.storage !== x.value.storage)
    #expect(try backend.download(x.value).doubles == [1, 2, 3, 4])
    #expect(try backend.download(norm.runningMean.value).doubles == [0, 0])
    try pass.backward()
    #expect(x.slot?.gradient == nil)
  }

  /// Checks that a unit is one operation in inference and agrees with its separate parts, and that later passes reuse the
  /// derived values.
  @Test func foldedUnitsAgreeWithTheirParts() throws {
    let double = CPUBackend(precision: .float64)
    let store = ParameterStore()
    let unit = ConvolutionUnit(store.root / "conv", store.root / "bn", inputs: 2, outputs: 3, window: 3, stride: 2)
    let norm = try #require(unit.norm)
    try store.allocate(on: double, seed: 1)
    for (index, parameter) in [norm.scale, norm.bias, norm.runningMean, norm.runningVariance].enumerated() {
      let values = HostTensor((0..<3).map { Float(index + $0) / 2 + 0.25 }, shape: [3])
      try double.copy(double.upload(values), into: parameter.value)
    }
    let x = Variable(try double.upload(HostTensor((0..<50).map { Float($0 % 7) - 3 }, shape: [1, 5, 5, 2])))
    let residual = Variable(try double.upload(HostTensor((0..<27).map { Float($0 % 5) - 2 }, shape: [1, 3, 3, 3])))
    let folded = FoldedParameters()
    let results = try (0..<2).map { _ in
      try double.download(
        unit(x, residual: residual, relu: true, Pass(on: double, mode: .inference, folded: folded)).value
      ).doubles
    }
    let pass = Pass(on: double, mode: .inference)
    let parts = try double.download(norm(unit.convolution(x, pass), residual: residual, relu: true, pass).value).doubles
    #expect(zip(results[0], parts).allSatisfy { abs($0 - $1) < 1e-12 } && parts.contains { $0 > 0 } && parts.contains(0))
    #expect(results[0] == results[1])
  }

  @Test func trainingMovesTheRunningEstimates() throws {
    let store = ParameterStore()
    let norm = BatchNormLayer(store.root / "bn", channels: 2)
    try store.allocate(on: backend, seed: 1)
    _ = try norm(variable([1, 20, 3, 40], [2, 2]), Pass(on: backend, mode: .training))
    let mean = try backend.download(norm.runningMean.value).doubles
    let variance = try backend.download(norm.runningVariance.value).doubles
    #expect(zip(mean, [0.2, 3]).allSatisfy { abs($0 - $1) < 1e-12 })
    // The expected variances are 0.9·1 + 0.1·(unbiased 2, 200).
    #expect(zip(variance, [1.1, 20.9]).allSatisfy { abs($0 - $1) < 1e-12 })
  }

  /// Checks that a recomputed part keeps only x and y. Its statistics are computed once, and its last normalization runs once.
  @Test func recomputedPartKeepsItsEndsOnly() throws {
    let store = ParameterStore()
    let root = store.root
    let units = (0..<2).map { ConvolutionUnit(root / "conv\($0)", root / "bn\($0)", inputs: 4, outputs: 4, window: 3) }
    let dryRun = DryRunBackend()
    try store.allocate(on: dryRun)
    let images = try dryRun.tensor([2, 8, 8, 4])
    let base = dryRun.memory.bytesInUse
    let start = dryRun.operations.count

    let pass = Pass(on: dryRun, mode: .training)
    var inputs: [ObjectIdentifier] = []
    let slot = try forward()
    /// Runs the forward pass in a separate function, so that no local variable outlives it.
    func forward() throws -> GradientSlot {
      try #require(
        pass.recomputing(Variable(images)) { x, pass in
          inputs.append(ObjectIdentifier(x.value.storage))
          return try units.reduce(x) { try $1($0, relu: true, pass) }
        }.slot)
    }
    // Memory in use is one activation, and two vectors of statistics for each unit.
    #expect(dryRun.memory.bytesInUse == base + images.byteCount + 2 * 2 * 128)
    try slot.add(dryRun.tensor([2, 8, 8, 4]), on: dryRun)
    try pass.backward()
    #expect(inputs == [ObjectIdentifier(images.storage), ObjectIdentifier(images.storage)])
    #expect(dryRun.memory.bytesInUse == base)
    let calls = Dictionary(grouping: dryRun.operations[start...], by: \.operation).mapValues(\.count)
    let withStatistics = dryRun.operations[start...].filter { $0.detail.hasSuffix("statistics") }.count
    #expect(calls["convolution"] == 4 && withStatistics == 2 && calls["batchNorm"] == 3)
    #expect(calls["batchNormGradient"] == 2 && calls["convolutionFilterGradient"] == 2)
  }

  /// Checks that gradients of a part's other inputs are accumulated, and that parts that gradients do not reach are not
  /// recomputed.
  @Test func recomputedGradientsAreAddedAndSkipped() throws {
    let pass = Pass(on: backend, mode: .training)
    let x = try variable([-1, 2, 3], [1, 3])
    var runs = 0
    func part(_ x: Variable, _ pass: Pass) throws -> Variable {
      runs += 1
      return try pass.add(pass.relu(x), x)
    }
    let y = try pass.add(pass.recomputing(x) { try part($0, $1) }, x)
    _ = try pass.recomputing(x) { try part($0, $1) }
    #expect(runs == 2)
    try backward(pass, from: y, [1, 10, 100])
    #expect(runs == 3)
    #expect(try gradient(x) == [2, 30, 300])
    let inference = Pass(on: backend, mode: .inference)
    #expect(try backend.download(inference.recomputing(x) { try part($0, $1) }.value).doubles == [-1, 4, 6])
    #expect(runs == 4)
  }

  @Test func layersAreAnnouncedForwardAndBackward() throws {
    let store = ParameterStore()
    let unit = ConvolutionUnit(store.root / "conv", store.root / "bn", inputs: 1, outputs: 1, window: 1)
    try store.allocate(on: backend, seed: 1)
    let pass = Pass(on: backend, mode: .training)
    var names: [String] = []
    pass.onLayer = { names.append($0) }
    let y = try unit(variable([1, 2, 3, 4], [1, 2, 2, 1]), relu: true, pass)
    #expect(names == ["conv", "", "bn", ""])
    names = []
    try backward(pass, from: y, [1, 2, 3, 4])
    #expect(names == ["bn", "conv", ""])
  }
}
