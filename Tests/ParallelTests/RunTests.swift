import Compute
import Datasets
import Foundation
import Images
import Models
import OpenCLBackend
import Parallel
import Support
import TestSupport
import Testing
import Training

/// Tests whole training runs on two halves of a device.
@Suite struct RunTests {
  private let splits = SyntheticImages(seed: 3, count: 96, validationCount: 41, classes: 4, size: 16, channels: 3).splits()
  private let temporary: TemporaryFolder
  private var folder: String { temporary.path }

  init() throws { temporary = try TemporaryFolder() }

  private var configuration: RunConfiguration {
    var run = RunConfiguration(model: ModelConfiguration(name: "resnet8", classes: 4, channels: 3), dataset: "synthetic")
    run.epochs = 2
    run.batchSize = 20
    run.optimizer.learningRate = 0.02
    run.augmentation = Augmentation(crop: .padded(pixels: 2))
    run.seed = 7
    run.shares = [3, 2]
    return run
  }

  private func several() throws -> ParallelBackend { ParallelBackend(try halves(), split: BatchSplit(weights: [3, 2])) }

  /// Runs until `shouldStop` has been called `stopAfter` times. The trainer is released at the end of the call, and with it
  /// its lock on the folder.
  /// - Returns: the losses of steps and epochs.
  private func run(
    _ name: String, _ run: RunConfiguration? = nil, on backend: any Backend, resuming: Bool = false, stopAfter: Int = .max
  ) throws -> [Double] {
    let path = "\(folder)/\(name)"
    let trainer = try Trainer(
      run ?? configuration, splits, on: backend, folder: resuming ? RunFolder(existing: path) : RunFolder(creating: path),
      resuming: resuming, logEvery: 1)
    var (asked, losses) = (0, [Double]())
    func mayGoOn() -> Bool {
      asked += 1
      return asked <= stopAfter
    }
    func note(_ event: TrainingEvent) {
      switch event {
      case .step(let record): losses.append(record.loss)
      case .epoch(let record): losses += [record.validationLoss, record.validationAccuracy]
      case .progress: break
      }
    }
    let ending = try trainer.run(shouldStop: { !mayGoOn() }, report: note)
    #expect(ending == (stopAfter == .max ? .finished : .stopped))
    return losses
  }

  private func weights(_ name: String) throws -> Data {
    try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)/last.safetensors"))
  }

  /// Checks that batches, the last short batch in validation, and augmentation are those of one device. The same run gives
  /// the same bits again, and so does a run that was stopped and resumed.
  @Test func lossCurveIsThatOfOneDeviceAndRepeatsItself() throws {
    let one = try run("one", on: OpenCLBackend(device: DeviceList.find("opencl").device))
    let first = try run("first", on: several())
    #expect(first.count == 2 * 4 + 4 && one.count == first.count)
    for (a, b) in zip(first, one) { #expect(abs(a - b) <= 1e-4 * abs(b)) }

    #expect(try run("again", on: several()) == first)
    #expect(try weights("again") == weights("first"))
    let begun = try run("cut", on: several(), stopAfter: 6)
    #expect(try begun + run("cut", on: several(), resuming: true) == first)
    #expect(try weights("cut") == weights("first"))
    #expect(try weights("one") != weights("first"), "sums in another order round otherwise")
  }

  /// Checks that the loss is divided by the sum of the weights of the whole batch, also with mixed labels.
  @Test(arguments: [false, true]) func classWeightsAreThoseOfOneDevice(_ isMixed: Bool) throws {
    var run = configuration
    run.classWeights = .values([0.25, 4, 1, 2])
    run.labelSmoothing = 0.1
    if isMixed { run.augmentation.mixing = BatchMixing(mixup: 0.4, cutmix: 1) }
    run.sampling = .balanced
    run.epochs = 1
    let one = try self.run("one", run, on: OpenCLBackend(device: DeviceList.find("opencl").device))
    let several = try self.run("several", run, on: self.several())
    #expect(several.count == 4 + 2 && one.count == several.count)
    for (a, b) in zip(several, one) { #expect(abs(a - b) <= 1e-4 * abs(b)) }
    #expect(try self.run("again", run, on: self.several()) == several)
    run.classWeights = nil
    let plain = try self.run("plain", run, on: self.several())
    #expect(abs(plain[0] - several[0]) > 1e-2, "the weights are without effect")
  }

  /// Checks skipped blocks, slow weights, a rate of the biases, and images that grow.
  @Test func fasterRunsAreThoseOfOneDevice() throws {
    var run = configuration
    (run.stochasticDepth, run.lookahead, run.biasRateScale, run.resizeFrom) = (0.6, 3, 2, 8)
    run.augmentation.flipRule = .alternate
    let one = try self.run("one", run, on: OpenCLBackend(device: DeviceList.find("opencl").device))
    let first = try self.run("first", run, on: several())
    #expect(first.count == 2 * 4 + 4 && one.count == first.count)
    for (a, b) in zip(first, one) { #expect(abs(a - b) <= 1e-4 * abs(b)) }
    let begun = try self.run("cut", run, on: several(), stopAfter: 6)
    #expect(try begun + self.run("cut", run, on: several(), resuming: true) == first)
    #expect(try weights("cut") == weights("first"))
  }

  /// Checks that the loss scale is determined on the first device and used by all.
  @Test func lossIsScaledOnSeveralDevices() throws {
    var run = configuration
    run.precision = .fp16
    run.epochs = 1
    let one = try self.run("one", run, on: OpenCLBackend(device: DeviceList.find("opencl").device))
    let several = try self.run("several", run, on: several())
    // Activations are rounded to 11 bits, and the sums of the two differ.
    for (a, b) in zip(several.prefix(4), one) { #expect(abs(a - b) <= 1e-2 * abs(b)) }
    #expect(try self.run("again", run, on: self.several()) == several)
  }

  @Test func sharesAreKept() throws {
    _ = try run("kept", on: several(), stopAfter: 1)
    #expect(try RunFolder(existing: "\(folder)/kept").configuration().shares == [3, 2])
    for shares in [[], [0, 0], [-1, 2]] {
      var wrong = configuration
      wrong.shares = shares
      #expect(throws: Failure.self) { try wrong.validate() }
    }
  }

  /// Checks that a batch that does not fit is refused before anything is launched, and that the message suggests one that does.
  @Test func memoryOfEachDeviceIsChecked() throws {
    let several = try several()
    let model = ModelConfiguration(name: "resnet20", classes: 10, channels: 3)
    let summary = try Summary(model, images: [64, 32, 32, 3], on: several)
    try summary.requireMemoryForTraining(on: several)
    // The larger share does not fit beside so much other memory.
    let other = several.devices[0].memoryLimit - (summary.devices[0].peakBytesHeld + summary.devices[1].peakBytesHeld) / 2
    do {
      try summary.requireMemoryForTraining(on: several, otherBytes: other)
      Issue.record("more memory was promised than there is")
    } catch let failure as Failure {
      #expect(failure.description.contains(several.devices[0].name) && failure.description.contains("batchSize"))
    }
  }
}
