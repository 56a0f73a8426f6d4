import Compute
import Formats
import Kernels
import OpenCL

/// Error for a kernel that the driver's compiler refuses.
struct KernelBuildFailure: Error, CustomStringConvertible {
  let file, device, advice: String
  /// Failed call with the compiler's output.
  let log: String

  var description: String { "kernel \(file) does not build for \(device): \(advice)\n\(log)" }
}

/// Builds each program and each kernel once per run. If the driver keeps no binaries of its own, it builds each program only once
/// per machine.
final class ProgramCache {
  private struct ProgramKey: Hashable {
    let source: KernelSource
    let options: String
  }

  private let context: Context
  private let sources: KernelSources
  /// Compiler options for every program.
  private let options: String
  private let disk: DeviceCache?
  private var programs: [ProgramKey: Program] = [:]
  private var kernels: [Specialisation: Kernel] = [:]

  /// - Parameters:
  ///   - disk: cache of binaries; nil to keep none.
  ///   - describing: whether the kernels can describe their arguments. A profile needs that, and a binary may lack it.
  init(context: Context, _ sources: KernelSources, disk: DeviceCache?, describing: Bool) {
    self.context = context
    self.sources = sources
    self.disk = describing ? nil : disk
    options = sources.options + (describing ? " -cl-kernel-arg-info" : "")
  }

  func kernel(_ specialisation: Specialisation) throws -> Kernel {
    if let kernel = kernels[specialisation] { return kernel }
    let key = ProgramKey(source: specialisation.source, options: specialisation.options)
    let program: Program
    if let built = programs[key] {
      program = built
    } else {
      program = try build(specialisation.source, options: "\(options) \(key.options)")
      programs[key] = program
    }
    let kernel = try Kernel(specialisation.kernel, in: program)
    kernels[specialisation] = kernel
    return kernel
  }

  private func build(_ source: KernelSource, options: String) throws -> Program {
    let text = try sources.text(of: source)
    guard let disk else { return try compile(source, text, options) }
    let key = Checksum.of("\(options)\n\(text)".utf8)
    // A binary that the driver refuses counts as missing, because the source is still there.
    if let binary = disk.program(key), let program = try? Program(context: context, binary: binary, options: options) {
      return program
    }
    let program = try compile(source, text, options)
    let binary = try program.binary()
    if !binary.isEmpty { disk.save(binary, program: key) }
    return program
  }

  private func compile(_ source: KernelSource, _ text: String, _ options: String) throws -> Program {
    do { return try Program(context: context, source: text, options: options) } catch {
      let device = try context.device.name
      let advice =
        sources.folder.map { "mend \($0)/\(source.fileName), or unset RESNET_KERNELS" }
        ?? "try another --device or a newer driver, and report this with the output of `resnet devices`"
      throw KernelBuildFailure(file: source.fileName, device: device, advice: advice, log: "\(error)")
    }
  }
}
