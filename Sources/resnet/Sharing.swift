import Compute
import Models
import OpenCL
import OpenCLBackend
import Parallel
import Support

/// Way in which several devices share a batch: in the ratio of a run that is resumed, equally if the devices are alike, otherwise
/// by measured speed.
struct Sharing {
  let configuration: ModelConfiguration
  /// Shape of the whole batch, [N,H,W,C].
  let images: Shape
  var recompute = false
  var precision = Precision.fp32
  /// Whether training steps are measured, or inference.
  var isTraining = true
  /// Ratio that was found when the run began.
  var known: [Int]?

  /// Finds the split of a batch among the devices.
  /// - Parameter open: opens a device for the measurement.
  /// - Throws: ``Failure`` if a device is too slow to be of use.
  func split(_ devices: [Device], _ open: (Device) throws -> OpenCLBackend) throws -> BatchSplit {
    if let known, known.count == devices.count { return BatchSplit(weights: known) }
    if try areAlike(devices) { return BatchSplit(devices: devices.count) }
    let count = max(2, images[0] / devices.count)
    let shape: Shape = [count, images[1], images[2], images[3]]
    let options = TrainingOptions(recompute: recompute, precision: precision)
    let speeds = try devices.map { device in
      let backend = try open(device)
      if isTraining {
        let summary = try Summary(configuration, images: shape, options, on: backend)
        try summary.requireMemoryForTraining(on: backend)
      }
      let trial = try ModelTrial(configuration, images: shape, options, on: backend)
      return try trial.imagesPerSecond(5, isTraining ? trial.train : trial.infer)
    }
    let split = BatchSplit(speeds: speeds, images: images[0])
    if let idle = split.weights.firstIndex(of: 0) {
      throw Failure(
        .invalidSetting,
        "\(try devices[idle].name) is too slow to get one of \(images[0]) images: it does \(fixed(speeds[idle], 1)) a second, all "
          + "devices together \(fixed(speeds.reduce(0, +), 1)); leave it out of \(Setting.device), or use a larger "
          + "\(Setting.batchSize)")
    }
    return split
  }

  /// Whether the devices do not differ. Then nothing needs to be measured, and the split is always the same.
  private func areAlike(_ devices: [Device]) throws -> Bool {
    let kinds = try devices.map { [try $0.name, try $0.driverVersion, try $0.platform.version, String(try $0.computeUnits)] }
    return Set(kinds).count == 1
  }
}

extension ParallelBackend {
  /// Returns the number of images that each device gets.
  func shares(ofBatch images: Int) -> [Int] { split.shares(of: images).map(\.count) }

  /// Describes the split, for example `each batch of 128 shared: 64 + 64 images`.
  func describeSplit(ofBatch images: Int) -> String {
    "each batch of \(images) shared: " + shares(ofBatch: images).map(String.init).joined(separator: " + ") + " images"
  }
}
