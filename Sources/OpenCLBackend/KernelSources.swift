import Compute
import Formats
import Foundation
import Kernels
import OpenCL

/// The text of the kernels and how they are compiled for a device.
///
/// With the environment variable `RESNET_KERNELS` set to a folder, sources come from there instead of the binary, for work on a
/// kernel without building the package.
struct KernelSources {
  /// For every program.
  let options: String
  let folder: String?

  /// - Parameter folder: where sources come from instead of what `RESNET_KERNELS` says.
  init(device: Device, folder: String? = nil) throws(OpenCLError) {
    let (major, minor) = try device.languageVersion
    // Kernels are written in OpenCL C 1.2, which every later version still accepts by name.
    let language = (major, minor) >= (1, 2) ? "-cl-std=CL1.2" : ""
    // PoCL's compiler, alone of those for CPUs, is known to build the prefetch and to gain from it.
    let (kind, isPoCL) = (try device.kind, try device.platform.isPoCL)
    let prefetches = kind == .cpu && isPoCL
    options = prefetches ? "\(language) -DPREFETCHES=1" : language
    self.folder = folder ?? Self.namedFolder
  }

  private static var namedFolder: String? { ProcessInfo.processInfo.environment["RESNET_KERNELS"] }

  /// The sources for a compiler of which nothing is known but that it takes OpenCL C 1.2.
  init(folder: String? = nil) {
    options = "-cl-std=CL1.2"
    self.folder = folder ?? Self.namedFolder
  }

  /// The source with its headers in place, so that no include path is needed.
  func text(of source: KernelSource) throws -> String {
    let body = folder == nil ? source.embedded : try load(source.fileName)
    return try KernelSource.Header.allCases.reduce(body) { text, header in
      guard text.contains(header.includeLine) else { return text }
      return text.replacingOccurrences(
        of: header.includeLine, with: folder == nil ? header.embedded : try load(header.fileName))
    }
  }

  /// Tells one set of kernels and options from another.
  func checksum() throws -> String {
    var checksum = Checksum()
    checksum.add(options.utf8)
    for source in KernelSource.allCases { checksum.add(try text(of: source).utf8) }
    return checksum.text
  }

  private func load(_ fileName: String) throws -> String {
    let path = "\(folder ?? "")/\(fileName)"
    do { return try String(contentsOfFile: path, encoding: .utf8) } catch {
      throw Failure("cannot read kernel \(path): set RESNET_KERNELS to the folder of the .cl files, or unset it")
    }
  }
}
