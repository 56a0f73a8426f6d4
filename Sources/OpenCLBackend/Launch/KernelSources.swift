import Compute
import Foundation
import Kernels
import OpenCL
import Support

/// Text of the kernels, and the options to compile them for a device.
///
/// If the environment variable `RESNET_KERNELS` names a folder, sources are read from there instead of from the binary. A kernel
/// can then be edited without building the package.
struct KernelSources {
  /// Compiler options for every program.
  let options: String
  let folder: String?

  /// - Parameter folder: folder of the sources; it takes precedence over `RESNET_KERNELS`.
  init(device: Device, folder: String? = nil) throws(OpenCLError) {
    let (major, minor) = try device.languageVersion
    // Kernels are written in OpenCL C 1.2. Compilers for later versions still accept this version by name.
    let language = (major, minor) >= (1, 2) ? "-cl-std=CL1.2" : ""
    let prefetches = try DriverQuirk.prefetches.applies(to: device)
    self.folder = folder ?? Self.namedFolder
    // PoCL prints warnings to standard error, for example about vectors that are wider than the processor's. They are of use
    // only to someone who edits the kernels.
    let warnings = self.folder == nil ? "-w" : ""
    options = [language, prefetches ? "-DPREFETCHES=1" : "", warnings].filter { !$0.isEmpty }.joined(separator: " ")
  }

  private static var namedFolder: String? { ProcessInfo.processInfo.environment["RESNET_KERNELS"] }

  /// Creates sources for a compiler of which only its support for OpenCL C 1.2 is known.
  init(folder: String? = nil) {
    options = "-cl-std=CL1.2"
    self.folder = folder ?? Self.namedFolder
  }

  /// Returns a file with each header that it includes, directly or through others, at the place of its first `#include` line.
  /// Compilers need no include path, and `#line` directives let them report the lines of the files.
  func text(of file: String) throws -> String {
    var included: Set<String> = []
    return try lines(of: file, &included).joined(separator: "\n")
  }

  private func lines(of file: String, _ included: inout Set<String>) throws -> [Substring] {
    guard included.insert(file).inserted else { return [] }
    var lines: [Substring] = ["#line 1 \"\(file)\""]
    for (index, line) in try load(file).split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      if line.hasPrefix("#include \""), case let parts = line.split(separator: "\""), parts.count > 1 {
        lines += try self.lines(of: String(parts[1]), &included) + ["#line \(index + 2) \"\(file)\""]
      } else {
        lines.append(line)
      }
    }
    return lines
  }

  /// Returns a checksum that tells one set of kernels and options from another.
  func checksum() throws -> String {
    var checksum = Checksum()
    checksum.add(options.utf8)
    for file in KernelFiles.sources { checksum.add(try text(of: file).utf8) }
    return checksum.text
  }

  private func load(_ file: String) throws -> String {
    guard let folder else { return KernelFiles.text(of: file) }
    let path = "\(folder)/\(file)"
    do { return try String(contentsOfFile: path, encoding: .utf8) } catch {
      throw Failure(
        .notFound, "cannot read kernel \(path)", remedy: "set RESNET_KERNELS to the folder of the .cl files, or unset it")
    }
  }
}
