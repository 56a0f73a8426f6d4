import Compute
import Models
import OpenCL
import OpenCLBackend
import Parallel

/// How several devices share a batch: alike where they are alike, in the ratio of a run that is resumed, else by measured speed.
struct Sharing {
  let configuration: ModelConfiguration
  /// The whole batch [N,H,W,C].
  let images: Shape
  var recompute = false
  var precision = Precision.fp32
  /// Whether steps of training are measured, or inference.
  var isTraining = true
  /// The ratio that was found when the run began.
  var known: [Int]?

  /// - Parameter open: opens a device for the measurement.
  /// - Throws: ``Failure`` for a device that is too slow to be of use.
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
        "\(try devices[idle].name) is too slow to get one of \(images[0]) images: it does \(fixed(speeds[idle], 1)) a second, all "
          + "devices together \(fixed(speeds.reduce(0, +), 1)); leave it out of --device, or use a larger --batch-size")
    }
    return split
  }

  /// Whether nothing tells one device from another: then nothing needs to be measured, and the split is always the same.
  private func areAlike(_ devices: [Device]) throws -> Bool {
    let kinds = try devices.map { [try $0.name, try $0.driverVersion, try $0.platform.version, String(try $0.computeUnits)] }
    return Set(kinds).count == 1
  }
}

extension ParallelBackend {
  /// The images that each device gets.
  func shares(ofBatch images: Int) -> [Int] { split.shares(of: images).map(\.count) }

  /// For example `each batch of 128 shared: 64 + 64 images`.
  func describeSplit(ofBatch images: Int) -> String {
    "each batch of \(images) shared: " + shares(ofBatch: images).map(String.init).joined(separator: " + ") + " images"
  }
}
