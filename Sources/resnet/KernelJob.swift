import Compute
import Formats
import Foundation
import Models
import OpenCLBackend

/// A command's work in advance, so that its kernels are known, and built, before it starts.
struct KernelJob: Codable {
  let model: ModelConfiguration
  /// [N,H,W,C]
  let images: [Int]
  let options: TrainingOptions
  /// Whether it trains, or infers only.
  let training: Bool

  init(_ model: ModelConfiguration, images: Shape, _ options: TrainingOptions, training: Bool) {
    (self.model, self.images, self.options, self.training) = (model, images.dimensions, options, training)
  }

  /// A small network that meets most kernels, for commands whose work is not known in advance.
  static let sample = KernelJob(
    ModelConfiguration(name: "resnet8", classes: 10), images: [2, 8, 8, 3], TrainingOptions(), training: true)

  /// Tells one job from another, with the choices of kernels that it meets on a device.
  func key(on backend: OpenCLBackend) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    return Checksum.of(Array(try encoder.encode(self)) + Array("\(backend.planningKey)".utf8))
  }

  func run(on backend: OpenCLBackend) throws {
    try Summary.rehearse(model, images: Shape(images), options, training: training, on: backend)
  }

  /// This job for as few images as need the same kernels: it takes less memory, and less time.
  func smallest(on backend: OpenCLBackend) throws -> KernelJob {
    let wanted = Set(try backend.kernels(of: run))
    var count = 2
    while count < images[0] {
      let fewer = KernelJob(model, images: Shape([count] + images.dropFirst()), options, training: training)
      if try Set(backend.kernels(of: fewer.run)) == wanted { return fewer }
      count *= 2
    }
    return self
  }
}
