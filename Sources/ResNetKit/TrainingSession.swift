import Checkpoints
import Compute
import Datasets
import Models
import NN
import Parallel
import Support
import Training

/// A training run on a device.
///
/// ```swift
/// let session = try TrainingSession("resnet18", on: .folder("flowers")) { run in
///   run.epochs = 5
///   run.batchSize = 64
/// }
/// try session.train { event in print(event) }
/// try session.best.save("flowers.safetensors")
/// ```
///
/// A session with a folder keeps its files there as `resnet train` does, and can be resumed from them. A session without a folder
/// leaves nothing on disk.
public final class TrainingSession {
  /// The trainer, which knows how far the run is.
  package let trainer: Trainer
  package let backend: any Backend
  package let splits: ImageSplits
  /// The training images that are used.
  package let images: any ImageSource
  /// Folder where the run keeps its files; nil for none.
  private let folder: RunFolder?
  /// Notices about the start of the run, a line each: frozen layers, a new last layer, labels that look odd.
  public let notes: [Message]

  /// Begins a run.
  /// - Parameters:
  ///   - model: the network's name, for example `resnet50`; nil for that of the initial weights, else `resnet20`.
  ///   - data: images to train and to validate on.
  ///   - initialWeights: a file of weights to start from. The last layer starts anew for other classes, and the learning rate is
  ///     a tenth of the usual one.
  ///   - imageSize: height and width of photographs; nil for what suits the network.
  ///   - device: the place to compute.
  ///   - folder: where the run keeps its files; nil for nowhere.
  ///   - configure: changes the run's settings. The warm-up follows the number of epochs and the schedule unless it is changed,
  ///     too.
  /// - Throws: ``Failure`` for settings, weights or images that do not fit each other, and for memory that does not suffice.
  public convenience init(
    _ model: String? = nil, on data: TrainingData, from initialWeights: String? = nil, imageSize: Int? = nil,
    device: Device = .best, folder: String? = nil, configure: (inout RunConfiguration) throws -> Void = { _ in }
  ) throws {
    var setup = TrainingSetup(data)
    (setup.model, setup.initialWeights, setup.imageSize) = (model, initialWeights, imageSize)
    var prepared = try setup.prepare()
    let recommended = prepared.configuration
    try configure(&prepared.configuration)
    prepared.configuration.follow(recommended)
    try prepared.check()
    try self.init(prepared, device: device, folder: try folder.map { try RunFolder(creating: $0) })
  }

  /// Goes on with the run in a folder, with its own settings.
  /// - Parameters:
  ///   - folder: the run's folder.
  ///   - data: the images, or the data set's new place; nil if it is where it was.
  ///   - epochs: number of epochs of the whole run, over which the learning rate schedule is stretched; nil for that of its settings.
  ///   - device: the place to compute.
  /// - Throws: ``Failure`` if there is no run, or if its data set or its settings have changed.
  public convenience init(
    resuming folder: String, on data: TrainingData? = nil, epochs: Int? = nil, device: Device = .best
  ) throws {
    let folder = RunFolder(existing: folder)
    let prepared = try TrainingSetup.resuming(
      folder, path: data?.path, images: data?.images, resumption: Resumption(epochs: epochs))
    try self.init(prepared, device: device, folder: folder, isResumed: true)
  }

  /// - Parameters:
  ///   - prepared: settings that were checked, and the images.
  ///   - folder: makes the run's folder, after the device is open.
  package init(
    _ prepared: TrainingSetup.Prepared, device: Device, folder makeFolder: @autoclosure () throws -> RunFolder?,
    isResumed: Bool = false, profiling: Bool = false, onDamage: @escaping (Failure) -> Void = { _ in }
  ) throws {
    var configuration = prepared.configuration
    try device.require(configuration.precision)
    splits = prepared.splits
    images = prepared.splits.limited(by: configuration.data).train
    let (backend, work, batchNote) = try Self.open(
      device, for: &configuration, prepared, profiling: profiling)
    self.backend = backend
    if let several = backend as? ParallelBackend { configuration.shares = several.split.weights }
    let folder = try makeFolder()
    self.folder = folder
    do {
      trainer = try Trainer(
        configuration, prepared.splits, on: backend, folder: folder, resuming: isResumed,
        takingOtherImages: prepared.takesOtherImages, initialWeights: prepared.initialWeights, onDamage: onDamage
      ) { batch in
        for shape in try configuration.batchShapes(batch) { try device.prepare(work.with(shape), for: backend) }
      }
    } catch {
      folder?.discardIfEmpty()
      throw configuration.completed(error, prepared.splits, on: backend)
    }
    let ofData = prepared.splits.notes.map { Message($0) }
    notes = (isResumed ? prepared.notices : []) + ofData + trainer.notes.map { Message($0) } + (batchNote.map { [$0] } ?? [])
  }

  /// Opens the device for a run.
  /// - Parameters:
  ///   - run: settings of the run; its batch size changes if the largest is wanted.
  ///   - prepared: images, and whether the batch size becomes the largest that fits.
  /// - Returns: the device, the work that it is opened for, and a note about the batch size if it was found.
  private static func open(
    _ device: Device, for run: inout RunConfiguration, _ prepared: TrainingSetup.Prepared, profiling: Bool
  ) throws -> (any Backend, Work, Message?) {
    let splits = prepared.splits
    let train = splits.train.shape
    let count = min(run.data.limitTrain ?? .max, train[0])
    func work() -> Work {
      let batch = Shape([min(run.batchSize, count)] + train.dimensions.dropFirst())
      return Work(run.model, images: batch, run.trainingOptions, isTraining: true, shares: run.shares)
    }
    func open(_ device: Device) throws -> any Backend {
      try device.open(for: work(), profiling: profiling, triesDriver: false)
    }
    guard prepared.takesLargestBatch else { return (try open(device), work(), nil) }
    // The tuner needs the batch size, so it waits until that is known. What it finds may need more memory.
    let tunes = device.tuning == .fast || device.tuning == .full
    var untuned = device
    if tunes { untuned.tuning = .known }
    var backend = try open(untuned)
    var largest = try LargestBatch(for: run, splits, on: backend)
    run.batchSize = largest.size
    if tunes {
      backend = try open(device)
      let tuned = try LargestBatch(for: run, splits, on: backend, atMost: largest.size)
      if tuned.size < largest.size { largest = tuned }
      run.batchSize = largest.size
    }
    let advice = prepared.searchesRate ? "" : run.advice(onRateForBatch: largest.size)
    return (backend, work(), "\(largest.note)\(advice)")
  }

  /// The run's folder.
  /// - Precondition: it has one.
  package func requireFolder() -> RunFolder {
    guard let folder else { preconditionFailure("[TrainingSession] the run has no folder") }
    return folder
  }

  /// The settings of the run.
  public var configuration: RunConfiguration { trainer.configuration }
  /// Called with what the user should know while the run goes on, for example that a state could not be saved.
  public var onNotice: ((Message) -> Void)? {
    get { trainer.onNotice }
    set { trainer.onNotice = newValue }
  }
  /// The network that is trained.
  public var network: ResNet { trainer.model }
  /// Steps done, and steps of the whole run.
  public var progress: (step: Int, total: Int) { (trainer.step, trainer.totalSteps) }

  /// Trains to the end, or until it is asked to stop. A run with a folder that was stopped can be resumed.
  /// - Parameters:
  ///   - shouldStop: called before each step.
  ///   - shouldSave: called before each step, too; if it returns true, the state is saved and the run goes on.
  ///   - report: called with the figures of steps and epochs.
  /// - Returns: whether the run is finished.
  /// - Throws: ``Failure`` of kind ``Failure/Kind/diverged`` if a number is not finite; for files that cannot be written; what
  ///   the device throws.
  @discardableResult
  public func train(
    shouldStop: () -> Bool = { false }, shouldSave: () -> Bool = { false }, report: (TrainingEvent) -> Void
  ) throws -> Bool {
    try run(shouldStop: shouldStop, shouldSave: shouldSave, report: report) == .finished
  }

  /// Trains as ``train(shouldStop:shouldSave:report:)`` does, and tells how the run ended.
  package func run(
    shouldStop: () -> Bool, shouldSave: () -> Bool, report: (TrainingEvent) -> Void
  ) throws -> Trainer.Ending {
    do { return try trainer.run(shouldStop: shouldStop, shouldSave: shouldSave, report: report) } catch {
      throw trainer.configuration.completed(error, splits, on: backend)
    }
  }

  /// Trains to the end.
  public func train() throws { try train { _ in } }

  /// The network of the epoch with the highest validation accuracy, or with the lowest validation loss if
  /// ``RunConfiguration/watch`` says so.
  /// - Throws: ``Failure`` if no epoch is finished; what the device throws.
  public var best: Checkpoint { get throws { try checkpoint(try trainer.bestWeights(), name: "best") } }

  /// The network as it is now.
  /// - Throws: what the device throws.
  public var last: Checkpoint { get throws { try checkpoint(try trainer.lastWeights(), name: "last") } }

  private func checkpoint(_ weights: Weights, name: String) throws -> Checkpoint {
    let description = weights.description ?? trainer.description
    return try Checkpoint("\(name) of this run", weights, try ResNet(description.model), description)
  }
}

extension RunConfiguration {
  /// Lets the warm-up follow the number of epochs and the schedule if only those were changed.
  /// - Parameter recommended: the settings before any was changed.
  mutating func follow(_ recommended: RunConfiguration) {
    let hasChanged = epochs != recommended.epochs || schedule != recommended.schedule
    if hasChanged, warmupEpochs == recommended.warmupEpochs { warmupEpochs = usualWarmup }
  }
}
