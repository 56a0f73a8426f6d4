import Compute
import Formats
import Foundation
import Models
import OpenCLBackend
import Support

/// Work of a command, described in advance, so that its kernels are known and built before it starts.
struct KernelJob: Codable {
  let model: ModelConfiguration
  /// Shape of the images, [N,H,W,C].
  let images: [Int]
  let options: TrainingOptions
  /// Whether the job trains, or infers only.
  let training: Bool

  init(_ model: ModelConfiguration, images: Shape, _ options: TrainingOptions, training: Bool) {
    (self.model, self.images, self.options, self.training) = (model, images.dimensions, options, training)
  }

  /// Job of a small network that uses most kernels, for commands whose work is not known in advance.
  static let sample = KernelJob(
    ModelConfiguration(name: "resnet8", classes: 10), images: [2, 8, 8, 3], TrainingOptions(), training: true)

  /// Returns a key that identifies the job together with the choices of kernels on a device.
  func key(on backend: OpenCLBackend) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    return Checksum.of(Array(try encoder.encode(self)) + Array("\(backend.planningKey)".utf8))
  }

  func run(on backend: OpenCLBackend) throws {
    try Summary.rehearse(model, images: Shape(images), options, training: training, on: backend)
  }

  /// Returns this job with as few images as need the same kernels. It takes less memory and less time.
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
