import CPUBackend
import Compute
import Datasets
import Foundation
import Images
import Models
import NN
import OpenCLBackend
import Support
import TestSupport
import Testing
import Training

/// Tests what becomes of a step in which a number is not finite, and whom a replay blames for it.
@Suite struct FaultTests {
  private static let batch = 4
  private let temporary: TemporaryFolder

  init() throws { temporary = try TemporaryFolder() }

  /// Returns float images of 3 classes, in batches of four. Those of some batches have a NaN.
  /// - Parameter poisoned: indices of these batches.
  private func images(batches: Int = 12, poisoned: Set<Int> = []) -> Dataset {
    var random = Philox(seed: 5, stream: 0)
    let count = batches * Self.batch
    var values = (0..<count * 64).map { _ in random.uniform() * 2 - 1 }
    for batch in poisoned { values[(batch * Self.batch + 1) * 64 + 9] = .nan }
    return Dataset(
      name: "tensors", images: HostTensor(values, shape: [count, 8, 8, 1]),
      labels: HostTensor((0..<count).map { Int32($0 % 3) }, shape: [count]), classes: ["a", "b", "c"],
      normalization: Normalization(mean: [0], deviation: [1]))
  }

  private func configuration(_ change: (inout RunConfiguration) -> Void = { _ in }) -> RunConfiguration {
    var run = RunConfiguration(model: ModelConfiguration(name: "resnet8", classes: 3, channels: 1), dataset: "tensors")
    (run.epochs, run.batchSize, run.seed, run.warmupEpochs, run.shuffle) = (1, Self.batch, 7, 0, false)
    run.schedule = .constant
    change(&run)
    return run
  }

  private func trainer(
    _ run: RunConfiguration, _ images: Dataset, on backend: any Backend = BreakingBackend(), name: String = "run",
    resuming: Bool = false
  ) throws -> Trainer {
    let path = "\(temporary.path)/\(name)"
    return try Trainer(
      run, DatasetSplits(train: images, validation: self.images(batches: 1)), on: backend,
      folder: resuming ? RunFolder(existing: path) : RunFolder(creating: path), resuming: resuming, logEvery: 1)
  }

  /// Trains until a step fails, and returns the error and the step that was kept.
  private func fail(_ trainer: Trainer, before: @escaping (_ step: Int) throws -> Void = { _ in }) throws -> (
    Failure, FaultRecord
  ) {
    var trouble: (any Error)?
    let failure = try #require(
      #expect(throws: Failure.self) {
        try trainer.run(shouldStop: {
          do { try before(trainer.step + 1) } catch { trouble = error }
          return false
        })
      })
    if let trouble { throw trouble }
    #expect(failure.kind == .diverged)
    let file = try #require(trainer.faultFile)
    #expect(file == trainer.folder?.faultPath(step: failure.step ?? 0))
    return (failure, try FaultRecord(contentsOf: file))
  }

  private func expectSame(
    _ a: [(name: String, tensor: HostTensor)], _ b: [(name: String, tensor: HostTensor)], _ comment: Comment? = nil
  ) {
    let found = Dictionary(uniqueKeysWithValues: b.map { ($0.name, $0.tensor) })
    #expect(a.count == b.count, comment)
    for (name, tensor) in a { #expect(found[name] == tensor, "\(name)") }
  }

  // MARK: What is kept

  @Test func aWeightThatIsNotFiniteIsNamed() throws {
    let trainer = try trainer(configuration(), images())
    let name = "layer2.0.conv1.weight"
    var before: [(name: String, tensor: HostTensor)] = []
    let (failure, record) = try fail(trainer) { step in
      guard step == 5 else { return }
      let weight = try #require(trainer.model.store[name])
      var values = try trainer.model.store.backend.download(weight.value).floats
      values[3] = .nan
      try trainer.model.store.assign(name, HostTensor(values, shape: weight.shape))
      before = try trainer.model.store.stateDictionary()
    }
    #expect(failure.step == 5 && failure.description.contains(name), "\(failure)")
    #expect(record.step == 5 && record.epoch == 1 && record.imageCount == Self.batch && record.configuration.seed == 7)
    #expect(record.firstInput?.tensor == name && record.firstInput?.count == 1)
    expectSame(before.map { ($0.name, $0.tensor) }, record.weights)
    let verdict = FaultVerdict(record, reference: try StepTrace(record, on: CPUBackend(), .fp32))
    #expect(verdict.word == "input" && verdict.finding?.tensor == name)
  }

  @Test func anImageThatIsNotFiniteIsNamed() throws {
    let (failure, record) = try fail(trainer(configuration(), images(poisoned: [6])))
    #expect(failure.step == 7 && failure.description.contains("the images: 1 of 256 values are not finite"), "\(failure)")
    #expect(failure.description.contains("mend the images"), "\(failure)")
    #expect(record.firstInput?.first == [1, 1, 1, 0] && record.firstInput?.value == "nan")
    #expect(FaultVerdict(record, reference: try StepTrace(record, on: CPUBackend(), .fp32)).word == "input")
  }

  /// The first step is of numbers that are finite; its rate makes weights whose sums of squares are not.
  @Test func aRateThatIsTooHighIsMathematics() throws {
    let run = configuration { $0.optimizer.learningRate = 1e30 }
    let (failure, record) = try fail(trainer(run, images()))
    #expect(failure.step == 2 && failure.description.contains("a lower learningRate"), "\(failure)")
    let found = try #require(record.finding)
    #expect(found.layer == "conv1" && !found.isBackward && failure.description.contains(found.text), "\(found)")
    let trace = try StepTrace(record, on: BreakingBackend(), .fp32, against: CPUBackend())
    #expect(FaultVerdict(record, compared: trace, .fp32) == .mathematics(found))
    #expect(FaultVerdict(record, reference: try StepTrace(record, on: CPUBackend(), .fp32)) == .mathematics(found))
  }

  // MARK: A device that errs

  private static let mistakes: [(BreakingBackend.Mistake, layer: String, text: String, isBackward: Bool)] = [
    (
      .init(operation: "convolution", operand: "y", shape: [4, 4, 4, 32], value: .infinity), "layer2.0.conv1", "the result y",
      false
    ),
    (
      .init(operation: "convolutionFilterGradient", operand: "dw", shape: [3, 3, 32, 64], value: .nan), "layer3.0.conv1",
      "the gradient of layer3.0.conv1.weight", true
    ),
    (.init(operation: "sumRows", operand: "sum", shape: [3], value: .nan), "fc", "the gradient of fc.bias", true),
  ]

  @Test(arguments: mistakes.indices) func aWrongKernelIsTheDevicesFault(_ index: Int) throws {
    let (mistake, layer, text, isBackward) = Self.mistakes[index]
    let device = BreakingBackend()
    let (failure, record) = try fail(trainer(configuration(), images(), on: device)) { step in
      if step == 4 { device.mistake = mistake }
    }
    #expect(failure.step == 4 && failure.description.contains(text), "\(failure)")
    let found = try #require(record.finding)
    #expect(found.layer == layer && found.isBackward == isBackward && found.count == 1)
    #expect(FaultVerdict(record, reference: try StepTrace(record, on: CPUBackend(), .fp32)) == .suspectedDevice(found))
    let trace = try StepTrace(record, on: device, .fp32, against: CPUBackend())
    #expect(FaultVerdict(record, compared: trace, .fp32) == .device(found))
    #expect(trace.referenceLoss?.isFinite == true && trace.firstOnReference == nil)
    // A driver that erred only once is not blamed.
    device.mistake = nil
    let sound = try StepTrace(record, on: device, .fp32, against: CPUBackend())
    #expect(FaultVerdict(record, compared: sound, .fp32) == .notRepeated)
    #expect(sound.firstDeviation(beyond: 0) == nil && sound.loss == sound.referenceLoss && sound.deviations.count > 50)
  }

  /// A number that is finite and wrong shows as a deviation before the first number that is not finite.
  @Test func aWrongNumberIsFoundBeforeTheFirstThatIsNotFinite() throws {
    let device = BreakingBackend()
    let (_, record) = try fail(trainer(configuration(), images(), on: device)) { step in
      if step == 3 { device.mistake = .init(operation: "convolution", operand: "y", shape: [4, 8, 8, 16], value: 1e30) }
    }
    let trace = try StepTrace(record, on: device, .fp32, against: CPUBackend())
    guard case .device = FaultVerdict(record, compared: trace, .fp32) else {
      Issue.record("the device is not blamed")
      return
    }
    #expect(trace.firstDeviation(beyond: 0.01)?.name == "the result y of convolution in conv1")
  }

  // MARK: What goes on

  /// Trains by hand and without a guard, on the batches of one epoch except some.
  private func weights(
    _ run: RunConfiguration, _ images: Dataset, leavingOut left: Set<Int>
  ) throws -> [(name: String, tensor: HostTensor)] {
    let backend = CPUBackend()
    let model = try ResNet(run.model)
    try model.store.allocate(on: backend, seed: run.seed)
    let optimizer = try Optimizer(model.store, run.trainingOptions.optimizer)
    let loader = try BatchLoader(images, on: backend)
    let plan = EpochPlan(inOrder: images.count)
    let loaded = try loader.load(plan, batches: plan.batches(of: Self.batch, keepShort: false))
    let metrics = try backend.tensor([3])
    backend.fill(metrics, with: 0)
    for index in loaded.batches.indices {
      let (x, labels) = try #require(try loaded.batch(index))
      if left.contains(index) { continue }
      try model.trainingStep(
        images: x, labels: labels, metrics: metrics, optimizer, learningRate: run.optimizer.learningRate)
    }
    return try model.store.stateDictionary()
  }

  /// Steps that follow the one at fault are under way when the host learns of it.
  @Test(arguments: Optimizer.Kind.allCases, [Set<Int>(), [5], [0, 4, 5, 11]])
  func skippedStepsChangeNothing(_ optimizer: Optimizer.Kind, _ poisoned: Set<Int>) throws {
    let run = configuration {
      $0.optimizer = .usual(optimizer)
      $0.onFault = .skip
    }
    let data = images(poisoned: poisoned)
    let trainer = try trainer(run, data)
    var notes: [String] = []
    var steps: [Int] = []
    trainer.onNotice = { notes.append($0.description) }
    #expect(try trainer.run(report: { if case .step(let record) = $0 { steps.append(record.step) } }) == .finished)
    expectSame(try trainer.model.store.stateDictionary(), try weights(run, data, leavingOut: poisoned))
    #expect(trainer.leftOutSteps == poisoned.count && trainer.step == 12)
    #expect(notes.count == (poisoned.isEmpty ? 0 : 1) && (notes.first?.contains("step \((poisoned.min() ?? 0) + 1) ") ?? true))
    #expect(steps == (1...12).filter { !poisoned.contains($0 - 1) })
  }

  /// The weights of a run that ends are those before the step, although later steps were under way.
  @Test func aRunThatEndsHasTheWeightsBeforeTheStep() throws {
    let data = images(poisoned: [5])
    let (failure, record) = try fail(trainer(configuration { $0.lookahead = 7 }, data))
    #expect(failure.step == 6)
    expectSame(record.weights, try weights(configuration(), images(batches: 5), leavingOut: []))
  }

  @Test func aRowOfSkippedStepsEndsTheRun() throws {
    let run = configuration { $0.onFault = .skip }
    let (failure, record) = try fail(trainer(run, images(batches: 14, poisoned: Set(1..<14))))
    #expect(failure.step == 11 && failure.description.contains("as in the 9 steps before"), "\(failure)")
    expectSame(record.weights, try weights(run, images(batches: 1), leavingOut: []))
  }

  /// A row of steps at fault ends a run that is resumed within the row as it ends an undisturbed one. Sound steps follow, which
  /// must not change the weights any more.
  @Test func aRowGoesOnAfterAPause() throws {
    let run = configuration { $0.onFault = .skip }
    let data = images(batches: 16, poisoned: Set(1..<11))
    do {
      let first = try trainer(run, data)
      #expect(try first.run(shouldStop: { first.step == 6 }) == .stopped)
    }
    let (failure, record) = try fail(trainer(run, data, resuming: true))
    #expect(failure.step == 11 && failure.description.contains("as in the 9 steps before"), "\(failure)")
    expectSame(record.weights, try weights(run, images(batches: 1), leavingOut: []))
  }

  /// AdamW's bias correction counts the steps that were taken.
  @Test func skippedStepsAreKnownAfterAPause() throws {
    let run = configuration {
      ($0.optimizer, $0.onFault) = (.adamW(), .skip)
    }
    let data = images(poisoned: [2])
    do {
      let first = try trainer(run, data)
      #expect(try first.run(shouldStop: { first.step == 6 }) == .stopped)
    }
    let second = try trainer(run, data, resuming: true)
    #expect(second.leftOutSteps == 1)
    #expect(try second.run() == .finished)
    expectSame(try second.model.store.stateDictionary(), try weights(run, data, leavingOut: [2]))
  }

  // MARK: Files

  @Test func otherFilesAreRefused() throws {
    let trainer = try trainer(configuration(), images(batches: 1))
    #expect(try trainer.run() == .finished)
    let path = try #require(trainer.folder).lastPath
    let failure = try #require(#expect(throws: Failure.self) { try FaultRecord(contentsOf: path) })
    #expect(failure.description.contains("it holds no step of training") && failure.description.contains(path), "\(failure)")
  }
}
