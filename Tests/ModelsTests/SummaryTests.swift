import CPUBackend
import Compute
import DryRun
import Models
import NN
import Support
import Testing

@Suite struct SummaryTests {
  /// Expected billions of multiply-accumulates at 224², from torchvision's documentation.
  @Test(arguments: [
    ("resnet18", 1.814), ("resnet34", 3.664), ("resnet50", 4.089), ("resnet101", 7.801), ("resnet152", 11.514),
    ("resnext50_32x4d", 4.230), ("resnext101_32x8d", 16.414), ("wide_resnet50_2", 11.398), ("wide_resnet101_2", 22.753),
  ])
  func workOfImageNetModels(name: String, expected: Double) throws {
    let summary = try Summary(ModelConfiguration(name: name, classes: 1000), images: [1, 224, 224, 3])
    #expect((Double(summary.macs) / 1e6).rounded() == (expected * 1e3).rounded())
  }

  /// With the stride on the 3×3 convolution, the first 1×1 convolution of three stages processes four times as many pixels.
  @Test func workDependsOnTheStridesPlace() throws {
    func macs(_ placement: StridePlacement) throws -> Int {
      let configuration = ModelConfiguration(name: "resnet50", classes: 1000, stridePlacement: placement)
      return try Summary(configuration, images: [1, 224, 224, 3]).macs
    }
    let more = 3 * (28 * 28 * 256 * 128 + 14 * 14 * 512 * 256 + 7 * 7 * 1024 * 512)
    #expect(try macs(.threeByThree) - macs(.firstOneByOne) == more)
  }

  @Test func layersAddUp() throws {
    let summary = try Summary(ModelConfiguration(name: "resnet20", classes: 10), images: [128, 32, 32, 3])
    #expect(summary.layers.reduce(0) { $0 + $1.parameters } == 269_722)
    #expect(summary.parameters == 269_722)
    #expect(summary.macs == summary.layers.reduce(0) { $0 + $1.macs })
    // Training takes three passes, except for the stem's input gradient.
    #expect(summary.trainingMACs == 3 * summary.macs - 128 * 32 * 32 * 16 * 27)
    let names = summary.layers.map(\.name)
    #expect(Array(names[..<6]) == ["conv1", "bn1", "layer1.0.conv1", "layer1.0.bn1", "layer1.0.conv2", "layer1.0.bn2"])
    #expect(Array(names[(names.count - 2)...]) == ["avgpool", "fc"])
    #expect(names.contains("layer2.0.shortcut") && names.count == 2 * 19 + 2 + 2)
    let layer = summary.layers[2]
    #expect(layer.output == [128, 32, 32, 16] && layer.parameters == 2304)
    #expect(layer.macs == 128 * 1024 * 16 * 144 && layer.activationBytes == 128 * 1024 * 16 * 4)
    #expect(summary.layers.last?.output == [128, 10])
    #expect(summary.layers.last?.parameters == 650)
  }

  /// Checks that each operation of a training step and of inference, rebuilt from its record, is the same operation.
  @Test(arguments: [
    ("resnet8", ShortcutOption?.none), ("resnet8", .projection), ("resnet18", nil), ("resnet50", nil), ("preresnet8", nil),
  ])
  func operationsRunAgainFromTheirRecords(name: String, shortcut: ShortcutOption?) throws {
    let configuration = ModelConfiguration(name: name, classes: 5, shortcut: shortcut)
    let summary = try Summary(configuration, images: [2, 32, 32, 3])
    #expect(!summary.inferenceOperations.isEmpty)
    let (again, reference) = (DryRunBackend(), CPUBackend())
    for record in summary.step + summary.inferenceOperations {
      let operation = try record.prepare(on: again)
      try operation()
      let copy = try #require(again.operations.last)
      #expect(copy.name == record.name && copy.shapes == record.shapes && copy.output == record.output)
      #expect(copy.macs == record.macs && copy.bytes == record.bytes && copy.updatedBytes == record.updatedBytes)
    }
    // The operations also run on a device, twice on the same operands.
    var seen: Set<String> = []
    for record in summary.step + summary.inferenceOperations where seen.insert(record.name).inserted && record.macs < 1 << 23 {
      let operation = try record.prepare(on: reference)
      for _ in 0..<2 { try operation() }
    }
    #expect(seen.count > 20)
  }

  @Test func trainingKeepsTwoActivationsAConvolution() throws {
    let summary = try Summary(ModelConfiguration(name: "resnet20", classes: 10), images: [128, 32, 32, 3])
    let activations = summary.layers.filter { $0.name.contains("conv") || $0.name.contains("bn") }
      .reduce(0) { $0 + $1.activationBytes }
    let peak = summary.training.peakBytesInUse
    #expect(peak > activations && Double(peak) < 1.1 * Double(activations))
    let largest = summary.layers.map(\.activationBytes).max() ?? 0
    // Inference needs the images, x, y and the residual.
    #expect(summary.inference.peakBytesInUse < 4 * largest)
  }

  /// Checks that almost no memory is lost between the pieces of the pool's blocks.
  @Test(arguments: [("resnet20", 128, 32), ("resnet56", 128, 32), ("resnet18", 16, 224), ("resnet50", 16, 224)])
  func littleMoreIsHeldThanIsInUse(name: String, batch: Int, side: Int) throws {
    let configuration = ModelConfiguration(name: name, classes: 10)
    let memory = try Summary(configuration, images: [batch, side, side, 3]).training
    #expect(Double(memory.peakBytesHeld) < 1.05 * Double(memory.peakBytesInUse))
  }

  @Test(arguments: [("resnet20", 128, 32), ("resnet56", 128, 32), ("resnet50", 16, 224), ("resnet1202", 32, 32)])
  func recomputationTrainsTwiceTheBatch(name: String, batch: Int, side: Int) throws {
    let configuration = ModelConfiguration(name: name, classes: 10)
    let plain = try Summary(configuration, images: [batch, side, side, 3])
    let twice = try Summary(configuration, images: [2 * batch, side, side, 3], TrainingOptions(recompute: true))
    #expect(twice.training.peakBytesHeld < plain.training.peakBytesHeld)
    #expect(twice.layers.map(\.macs) == plain.layers.map { 2 * $0.macs })
    // Recomputation costs at most one more forward pass, without the head.
    let again = twice.trainingMACs - 2 * plain.trainingMACs
    #expect(again > 0 && again < twice.macs)
  }

  /// Compares the largest batch with those of all sizes. More images need more memory, also where a device has other devices
  /// beside it, or a data set that grows with the batch.
  @Test(arguments: [(false, 0), (true, 0), (false, 20_000)]) func theLargestBatchIsFound(recompute: Bool, extra: Int) throws {
    let (device, configuration) = (CPUBackend(), ModelConfiguration(name: "resnet14", classes: 10))
    let options = TrainingOptions(recompute: recompute)
    let needs = try (1...40).map {
      try Summary(configuration, images: [$0, 12, 12, 3], options, on: device).training.peakBytesHeld + extra * $0
    }
    #expect(zip(needs, needs.dropFirst()).allSatisfy { $0 < $1 })
    func largest(_ room: Int, atMost limit: Int = 40) throws -> Int? {
      try Summary.largestBatch(configuration, images: [limit, 12, 12, 3], options, on: device) {
        device.memoryLimit - room + extra * $0
      }
    }
    for (index, need) in needs.enumerated() {
      #expect(try largest(need) == index + 1 && largest(need - 1) == (index > 0 ? index : nil))
    }
    #expect(try largest(.max / 2) == 40 && largest(needs[6], atMost: 5) == 5 && largest(needs[6], atMost: 1) == 1)
  }

  /// Checks that the suggested batch size fits, and that one more image does not.
  @Test(arguments: [("resnet20", 40, 32), ("plain8", 2, 3), ("resnet18", 4, 40)])
  func whatDoesNotFitIsAnsweredByWhatDoes(name: String, batch: Int, side: Int) throws {
    let (device, configuration) = (CPUBackend(), ModelConfiguration(name: name, classes: 10))
    func peak(_ batch: Int, _ recompute: Bool) throws -> Int {
      try Summary(configuration, images: [batch, side, side, 3], TrainingOptions(recompute: recompute), on: device).training
        .peakBytesHeld
    }
    /// Returns the message for a batch if `room` bytes are available.
    func complaint(_ batch: Int, _ recompute: Bool, room: Int) throws -> String {
      let summary = try Summary(configuration, images: [batch, side, side, 3], TrainingOptions(recompute: recompute), on: device)
      do {
        try summary.requireMemoryForTraining(on: device, otherBytes: device.memoryLimit - room)
        return ""
      } catch let failure as Failure { return failure.description }
    }
    let room = try peak(batch, false)
    #expect(try complaint(batch, false, room: room) == "")
    #expect(try complaint(batch + 1, false, room: room).contains("batchSize \(batch), the largest that fits without"))
    #expect(try complaint(batch + 1, false, room: room).contains("use recompute, with which this batch fits"))
    let smaller = try peak(batch, true)
    #expect(try complaint(batch, true, room: smaller) == "")
    #expect(try complaint(5 * batch, true, room: smaller).hasSuffix("use batchSize \(batch), the largest that fits"))
    #expect(try complaint(5 * batch, false, room: smaller).contains("use recompute batchSize \(batch), the largest"))
    #expect(try complaint(batch, false, room: 1000).contains("smaller model"))
  }

  /// Checks that the pool of a real device goes through exactly the same states.
  @Test(
    arguments: [
      ModelConfiguration(name: "resnet8", classes: 5, channels: 1),
      ModelConfiguration(name: "resnet8", classes: 5, channels: 1, shortcut: .projection),
      ModelConfiguration(name: "resnet8", classes: 5, channels: 1, shortcut: .projectionEverywhere, normalization: .none),
      ModelConfiguration(name: "plain8", classes: 5, channels: 1), ModelConfiguration(name: "resnet18", classes: 5, channels: 1),
    ], [false, true])
  func memoryIsPredictedExactly(configuration: ModelConfiguration, recompute: Bool) throws {
    let images: Shape = [2, 9, 7, 1]
    let backend = CPUBackend()
    let summary = try Summary(configuration, images: images, TrainingOptions(recompute: recompute), on: backend)
    #expect(backend.memory.allocations == 0)

    let model = try ResNet(configuration)
    try model.store.allocate(on: backend)
    let optimizer = try Optimizer(model.store)
    for _ in 0..<2 {
      let batch = try (images: backend.tensor(images), labels: backend.tensor([2], .int32), metrics: backend.tensor([3]))
      backend.fill(batch.images, with: 0.5)
      backend.fill(batch.labels, with: 3)
      backend.fill(batch.metrics, with: 0)
      try withExtendedLifetime(batch) {
        try model.trainingStep(
          images: batch.images, labels: batch.labels, recompute: recompute, metrics: batch.metrics, optimizer,
          learningRate: 0.1)
      }
    }
    #expect(backend.memory == summary.training)
  }
}
