import OpenCL
import Support

extension PoCLCache {
  /// Returns the failure of a driver whose own cache of kernels is damaged. PoCL does not check what it reads there.
  /// - Parameter problem: what has happened.
  package static func damage(of device: String, _ problem: String) -> Failure {
    let folder = Self.folder
    return Failure(
      .device, about: device, "\(problem): its cache of kernels in \(folder) is damaged",
      remedy: "remove it, `rm -r '\(folder)'`, and try again: kernels are compiled anew")
  }
}
