import Compute
import Foundation
import Kernels
import OpenCL

/// Builds each program once a run, and each kernel once.
///
/// With the environment variable `RESNET_KERNELS` set to a folder, sources come from there instead of the binary, for work on a
/// kernel without building the package.
final class ProgramCache {
  private struct ProgramKey: Hashable {
    let source: KernelSource
    let options: String
  }

  private let context: Context
  private let standardOptions: String
  private let folder: String?
  private var programs: [ProgramKey: Program] = [:]
  private var kernels: [Specialisation: Kernel] = [:]

  /// - Parameter describing: the kernels can tell what their arguments are, which a profile needs.
  init(context: Context, describing: Bool) throws(OpenCLError) {
    self.context = context
    let (major, minor) = try context.device.languageVersion
    // Kernels are written in OpenCL C 1.2, which every later version still accepts by name.
    standardOptions = ((major, minor) >= (1, 2) ? "-cl-std=CL1.2" : "") + (describing ? " -cl-kernel-arg-info" : "")
    folder = ProcessInfo.processInfo.environment["RESNET_KERNELS"]
  }

  func kernel(_ specialisation: Specialisation) throws -> Kernel {
    if let kernel = kernels[specialisation] { return kernel }
    let key = ProgramKey(source: specialisation.source, options: specialisation.options)
    let program: Program
    if let built = programs[key] {
      program = built
    } else {
      program = try build(specialisation.source, options: "\(standardOptions) \(key.options)")
      programs[key] = program
    }
    let kernel = try Kernel(specialisation.kernel, in: program)
    kernels[specialisation] = kernel
    return kernel
  }

  private func build(_ source: KernelSource, options: String) throws -> Program {
    let text = try text(of: source)
    do { return try Program(context: context, source: text, options: options) } catch {
      let device = try context.device.name
      let advice =
        folder.map { "mend \($0)/\(source.fileName), or unset RESNET_KERNELS" }
        ?? "try another --device or a newer driver, and report this with the output of `resnet devices`"
      throw Failure("kernel \(source.fileName) does not build for \(device): \(advice)\n\(error)")
    }
  }

  /// The source with its headers in place, so that no include path is needed.
  private func text(of source: KernelSource) throws -> String {
    let body = folder == nil ? source.embedded : try load(source.fileName)
    return try KernelSource.Header.allCases.reduce(body) { text, header in
      guard text.contains(header.includeLine) else { return text }
      return text.replacingOccurrences(
        of: header.includeLine, with: folder == nil ? header.embedded : try load(header.fileName))
    }
  }

  private func load(_ fileName: String) throws -> String {
    let path = "\(folder ?? "")/\(fileName)"
    do { return try String(contentsOfFile: path, encoding: .utf8) } catch {
      throw Failure("cannot read kernel \(path): set RESNET_KERNELS to the folder of the .cl files, or unset it")
    }
  }
}
