import CPUBackend
import Compute
import Conformance
import Datasets
import Images
import Models
import NN
import OpenCLBackend
import Parallel
import Testing
import Training

/// Compares several devices with one.
@Suite struct ParallelTests {
  /// Checks that the results in double precision differ only by the order of sums: forward, backward, statistics of the
  /// whole batch, running statistics, loss, correct counts, weights, gradients and the logits of inference.
  @Test(arguments: [
    ([1, 1], 6), ([1, 1], 7), ([3, 1], 8), ([1, 4, 2], 9), ([1, 0], 4), ([1], 5),
    // Fewer images than devices, and a share of a single image.
    ([1, 1, 1], 2), ([1, 1], 2),
  ])
  func trainsAsOneDevice(weights: [Int], batch: Int) throws {
    let one = try Trained(on: CPUBackend(precision: .float64), batch: batch, steps: 3)
    let several = try Trained(on: references(weights), batch: batch, steps: 3)
    #expect(several.distance(to: one) < 1e-12)
    // The distance must distinguish two different runs.
    let other = try Trained(on: references(weights), batch: batch + 1, steps: 3)
    #expect(other.metrics.last != one.metrics.last)
  }

  /// Tests projections, a stem with max-pooling, and recomputed activations.
  @Test(arguments: [
    ("resnet8", ShortcutOption?.some(.projection), 8, true), ("resnet18", nil, 64, false), ("plain8", nil, 8, true),
  ])
  func otherNetworksTooAsOneDevice(model: String, shortcut: ShortcutOption?, size: Int, recompute: Bool) throws {
    let backends: [any Backend] = [CPUBackend(precision: .float64), references([1, 2])]
    let results = try backends.map {
      try Trained(on: $0, batch: 3, steps: 2, model: model, shortcut: shortcut, size: size, recompute: recompute)
    }
    #expect(results[1].distance(to: results[0]) < 1e-12)
  }

  @Test func networksWithoutNormalizationToo() throws {
    let backends: [any Backend] = [CPUBackend(precision: .float64), references([1, 2])]
    let results = try backends.map { try Trained(on: $0, batch: 3, steps: 2, normalization: .none) }
    #expect(results[1].distance(to: results[0]) < 1e-12)
  }

  @Test func halvesOfADeviceFollowTheWholeAndRepeatThemselves() throws {
    let whole = try Trained(on: OpenCLBackend(device: DeviceList.find("opencl").device), batch: 10, steps: 3)
    let runs = try (0..<2).map { _ in
      try Trained(on: ParallelBackend(halves(), split: BatchSplit(weights: [3, 2])), batch: 10, steps: 3)
    }
    for (a, b) in zip(whole.metrics, runs[0].metrics) { #expect(abs(a[0] - b[0]) <= 1e-5 * a[0]) }
    #expect(runs[0].state.map(\.tensor) == runs[1].state.map(\.tensor))
    #expect(runs[0].logits == runs[1].logits)
  }

  /// Checks that devices of different kinds work together. They round differently, so values that are kept and reused come
  /// from the first.
  @Test func unlikeDevicesWorkTogether() throws {
    let opencl = try OpenCLBackend(device: DeviceList.find("opencl").device)
    let mixed = ParallelBackend([opencl, CPUBackend()], split: BatchSplit(devices: 2))
    let (several, one) = (try Trained(on: mixed, batch: 6, steps: 3), try Trained(on: CPUBackend(), batch: 6, steps: 3))
    for (a, b) in zip(several.metrics, one.metrics) { #expect(abs(a[0] - b[0]) <= 1e-5 * b[0]) }
    #expect(mixed.name == "\(opencl.name) + CPU reference (float32)")
  }

  /// Checks that devices that share a batch give the same bits as one device, since the mixed images are in one row of the plan.
  @Test func mixedBatchesAreThoseOfOneDevice() throws {
    let dataset = SyntheticImages(seed: 3, count: 24, validationCount: 1, classes: 4, size: 8).splits().train
    var augmentation = Augmentation(crop: .padded(pixels: 2))
    (augmentation.randomErasing, augmentation.mixing) = (RandomErasing(probability: 0.5), BatchMixing(mixup: 0.4, cutmix: 1))
    let plan = EpochPlan(seed: 1, epoch: 2, count: 24, shuffle: true, augmentation: augmentation)
    let several = ParallelBackend(try halves(), split: BatchSplit(weights: [3, 2]))
    let backends: [any Backend] = [try OpenCLBackend(device: DeviceList.find("opencl").device), several]
    for changesColors in [false, true] {
      augmentation.trivialAugment = changesColors
      let batches = try backends.map { backend in
        let source = try BatchLoader(dataset, augmentation: augmentation, on: backend)
        let loaded = try source.load(plan, batches: [0..<7, 7..<17, 17..<24])
        return try (0..<3).flatMap { index in
          let (x, labels) = try #require(try loaded.batch(index))
          #expect(labels.shape == [x.shape[0], BatchPlan.labelColumns])
          return [try backend.download(x), try backend.download(labels)]
        }
      }
      #expect(batches[0] == batches[1])
    }
  }

  /// Tests every operation, with the images of its operands shared among the devices.
  @Test func sharedOperationsAgreeWithTheReference() throws {
    let several = ParallelBackend([CPUBackend(), CPUBackend(), CPUBackend()], split: BatchSplit(weights: [2, 1, 1]))
    try expectAll(Catalog.small, on: several, sharingOut: true)
    #expect(several.memory.bytesInUse == 0)
  }

  @Test func sharedOperationsOnHalvesAgreeWithTheReference() throws {
    // Operations on separate images are tested on whole batches.
    let operations = [
      "batchNormStatistics", "batchNormGradient", "crossEntropy", "weightedCrossEntropy", "sumClassWeights", "sumRows",
      "multiply", "foldBatchNorm", "sgdStep",
    ]
    let cases = Catalog.small.filter { operations.contains($0.operation) || $0.name.hasSuffix(", statistics") }
    try expectAll(cases, on: ParallelBackend(try halves(), split: BatchSplit(weights: [1, 2])), sharingOut: true)
  }

  /// Checks the sums that devices exchange, which other kernels compute on GPUs.
  @Test func sumsOfLocalTiledKernelsAgreeWithTheReference() throws {
    let device = try DeviceList.find("opencl").device
    var traits = try DeviceTraits(device)
    traits.kernelClass = .localTiled
    traits.vectorWidth = 4
    traits.wantedItems = 64
    let devices = try (0..<2).map { _ in try OpenCLBackend(device: device, traits: traits) }
    // Drivers for CPUs take long to build such kernels. A few shapes are enough for the exchanged sums.
    let shapes = ["[3, 7, 7, 10]", "[2, 17, 17, 16]", "[33, 17]"]
    let cases = Catalog.small.filter { subject in
      ["batchNormStatistics", "batchNormGradient"].contains(subject.operation) && shapes.contains { subject.name.contains($0) }
    }
    try expectAll(cases, on: ParallelBackend(devices, split: BatchSplit(weights: [1, 2])), sharingOut: true)
  }

  /// Places all operands on every device. Most convolutions are left out: there are many, and those with prepared filters
  /// need shares.
  @Test func operationsOnEveryDeviceAgreeWithTheReference() throws {
    let cases = Catalog.small.filter { $0.operation != "convolution" || $0.name.hasSuffix("statistics") }
    try expectAll(
      cases, on: ParallelBackend([CPUBackend(), CPUBackend()], split: BatchSplit(devices: 2)), sharingOut: false)
  }

  private func expectAll(_ cases: [Case], on several: ParallelBackend, sharingOut: Bool) throws {
    let reference = CPUBackend()
    #expect(cases.count > 10)
    for subject in cases {
      let outcome = try Conformance.check(subject, on: several, against: reference, sharingOut: sharingOut)
      #expect(outcome.passed, "\(outcome.name): \(outcome.message)")
    }
  }

  /// Checks that a sum in parts is complete wherever it is read, and that earlier complete sums are not counted twice.
  @Test func sumsOfSharesAreWholeWhereTheyAreRead() throws {
    let several = references([1, 1])
    let arena = try several.tensor([24])
    try several.fill(arena, with: 3)
    let view = Tensor(
      shape: [2], type: .float64, storage: try several.slice(arena.storage, offset: 64, byteCount: 16))
    let x = try several.uploadBatch(HostTensor([1, 10, 2, 20, 4, 40] as [Double], shape: [3, 2]))
    try several.sumRows(x, into: view)
    var expected = [Double](repeating: 3, count: 24)
    (expected[8], expected[9]) = (7, 70)
    #expect(try several.download(arena).doubles == expected)
    #expect(try several.download(view).doubles == [7, 70])
    // An operation on every device reads the complete sum too.
    let copy = try several.tensor([24])
    try several.copy(arena, into: copy)
    #expect(try several.download(copy).doubles == expected)
    try several.fill(view, with: 1)
    #expect(try several.download(view).doubles == [1, 1])
  }

  /// Checks that each device's memory pool matches the dry run of its share, block by block.
  @Test func dryRunPredictsEveryPool() throws {
    let several = ParallelBackend(try halves(), split: BatchSplit(weights: [3, 1]))
    let configuration = ModelConfiguration(name: "resnet8", classes: 10, channels: 3, shortcut: .projection)
    let shape: Shape = [8, 16, 16, 3]
    let predicted = try Summary(configuration, images: shape, on: several)
    let model = try ResNet(configuration)
    try model.store.allocate(on: several, seed: 1)
    let optimizer = try Optimizer(model.store)
    for _ in 0..<2 {
      let images = try several.batchTensor(shape)
      try several.fill(images, with: 0.5)
      let labels = try several.batchTensor([8], .int32)
      try several.fill(labels, with: 1)
      let metrics = try several.tensor([3])
      try several.fill(metrics, with: 0)
      try model.trainingStep(images: images, labels: labels, metrics: metrics, optimizer, learningRate: 0.1)
    }
    #expect(several.memory == predicted.training)
    #expect(predicted.devices.map(\.peakBytesHeld) == several.devices.map(\.memory.peakBytesHeld))
    #expect(predicted.devices[0].peakBytesHeld > predicted.devices[1].peakBytesHeld)
  }
}

/// Tests the ratio in which devices share batches.
@Suite struct BatchSplitTests {
  @Test(arguments: [
    ([1, 1], 128, [64, 64]), ([1, 1], 7, [4, 3]), ([1, 1], 1, [1, 0]), ([96, 32], 128, [96, 32]), ([96, 32], 10, [8, 2]),
    ([1, 1, 1], 2, [1, 0, 1]), ([5, 0, 3], 8, [5, 0, 3]),
  ])
  func everyImageGoesToOneDevice(weights: [Int], images: Int, counts: [Int]) {
    let shares = BatchSplit(weights: weights).shares(of: images)
    #expect(shares.map(\.count) == counts)
    #expect(shares.first?.lowerBound == 0 && shares.last?.upperBound == images)
    for (a, b) in zip(shares, shares.dropFirst()) { #expect(a.upperBound == b.lowerBound) }
  }

  @Test func speedsBecomeWholeImages() {
    #expect(BatchSplit(speeds: [300, 100], images: 128).weights == [96, 32])
    #expect(BatchSplit(speeds: [1, 1.1], images: 10).weights == [5, 5])
    #expect(BatchSplit(speeds: [1000, 1], images: 100).weights == [100, 0])
  }
}
