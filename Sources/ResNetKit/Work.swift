import Compute
import Models
import OpenCL
import OpenCLBackend
import Parallel
import Support

/// The work that a device is opened for: a network, its batches, and whether it trains. Tuning, sharing among devices and
/// building kernels ahead go by it.
package struct Work: Codable, Sendable {
  package let model: ModelConfiguration
  /// The whole batch, [N,H,W,C].
  package let images: [Int]
  package let options: TrainingOptions
  /// Whether it trains, or infers only.
  package let isTraining: Bool
  /// The ratio in which several devices shared a batch when the run began; nil for a new run.
  package var shares: [Int]?

  package init(
    _ model: ModelConfiguration, images: Shape, _ options: TrainingOptions = TrainingOptions(), isTraining: Bool,
    shares: [Int]? = nil
  ) {
    (self.model, self.images, self.options) = (model, images.dimensions, options)
    (self.isTraining, self.shares) = (isTraining, shares)
  }

  /// Returns the same work with batches of another shape, [N,H,W,C].
  func with(_ images: Shape) -> Work { Work(model, images: images, options, isTraining: isTraining, shares: shares) }

  /// A small network that meets most kernels, for commands whose work is not known in advance.
  package static let sample = Work(
    ModelConfiguration(name: "resnet8", classes: 10), images: [2, 8, 8, 3], isTraining: true)

  /// Runs the work once on memory as it comes, so that a device builds its kernels, or a list of them is made.
  /// - Throws: ``Failure`` for a network that cannot be built; what the backend throws.
  package func rehearse(on backend: any Backend) throws {
    try Summary.rehearse(model, images: Shape(images), options, training: isTraining, on: backend)
  }

  /// Returns a key that tells this work from other work, with the choices of kernels that it meets on a device.
  package func key(on backend: OpenCLBackend) throws -> String {
    Checksum.of("\(try jsonText())\(backend.planningKey)".utf8)
  }

  /// Work with the smallest batch that needs the same kernels: it takes less memory and less time.
  package func smallest(on backend: OpenCLBackend) throws -> Work {
    let wanted = Set(try backend.kernels { try rehearse(on: $0) })
    var count = 2
    while count < images[0] {
      let fewer = Work(model, images: Shape([count] + images.dropFirst()), options, isTraining: isTraining)
      if try Set(backend.kernels { try fewer.rehearse(on: $0) }) == wanted { return fewer }
      count *= 2
    }
    return self
  }

  /// The convolutions of the work, each with the multiply-accumulates that are spent on it. Training includes inference.
  package func convolutions() throws -> [ConvolutionWork: Double] {
    let summary = try Summary(model, images: Shape(images), TrainingOptions(precision: options.precision))
    var weights: [ConvolutionWork: Double] = [:]
    for record in (isTraining ? summary.step : []) + summary.inferenceOperations {
      if let work = record.convolution?.withoutStatistics { weights[work, default: 0] += Double(record.macs) }
    }
    return weights
  }

  /// Decides how several devices share a batch: equally where they are alike, in the ratio of a run that is resumed, else by
  /// speed.
  /// - Parameter open: opens a device for the measurement.
  /// - Throws: ``Failure`` for a device that is too slow to be of use.
  func split(_ devices: [OpenCL.Device], _ open: (OpenCL.Device) throws -> OpenCLBackend) throws -> BatchSplit {
    if let shares, shares.count == devices.count { return BatchSplit(weights: shares) }
    if try Self.areAlike(devices) { return BatchSplit(devices: devices.count) }
    let shape = Shape([max(2, images[0] / devices.count)] + images.dropFirst())
    let speeds = try devices.map { device in
      let backend = try open(device)
      var images = shape
      if isTraining {
        // The batch may not be known yet, or the share of this device may be smaller than an equal one.
        let fitting = try Summary.largestBatch(model, images: shape, options, on: backend, otherBytes: { _ in 0 })
        if fitting == nil { try Summary(model, images: shape, options, on: backend).requireMemoryForTraining(on: backend) }
        images = Shape([fitting ?? shape[0]] + shape.dimensions.dropFirst())
      }
      let trial = try ModelTrial(model, images: images, options, on: backend)
      return try trial.imagesPerSecond(5, isTraining ? trial.train : trial.infer)
    }
    let split = BatchSplit(speeds: speeds, images: images[0])
    if let idle = split.weights.firstIndex(of: 0) {
      func rate(_ value: Double) -> Double { (value * 10).rounded() / 10 }
      throw Failure(
        .device, about: try devices[idle].name,
        """
        too slow to get one of \(images[0]) images: it does \(rate(speeds[idle])) a second, all devices together \
        \(rate(speeds.reduce(0, +)))
        """, remedy: "leave it out of \(Setting.device), or use a larger \(Setting.batchSize)")
    }
    return split
  }

  /// Whether nothing distinguishes the devices: then nothing needs to be measured, and the split is always the same.
  private static func areAlike(_ devices: [OpenCL.Device]) throws -> Bool {
    let kinds = try devices.map { [try $0.name, try $0.driverVersion, try $0.platform.version, String(try $0.computeUnits)] }
    return Set(kinds).count == 1
  }
}
