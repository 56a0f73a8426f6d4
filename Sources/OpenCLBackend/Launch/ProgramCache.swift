import Compute
import OpenCL
import Support

/// Error for a kernel that the driver's compiler refuses. The plan of a convolution catches it and takes a simpler kernel.
struct KernelBuildFailure: Error {
  let file, device: String
  let advice: Message
  /// Failed call with the compiler's output.
  let log: String

  /// The error for the user, if there is no simpler kernel.
  var failure: Failure { Failure(.device, "kernel \(file) does not build for \(device)", remedy: "\(advice)\n\(log)") }
}

/// Builds each program and each kernel once per run. If the driver keeps no binaries of its own, it builds each program only once
/// per machine.
final class ProgramCache {
  private struct ProgramKey: Hashable {
    let file, options: String
  }

  private let context: Context
  private let sources: KernelSources
  /// Compiler options for every program.
  private let options: String
  private let disk: DeviceCache?
  private var programs: [ProgramKey: Program] = [:]
  private var kernels: [KernelSpecialization: Kernel] = [:]

  /// - Parameters:
  ///   - disk: cache of binaries; nil to keep none.
  ///   - describing: whether the kernels can describe their arguments. A profile needs that, and a binary may lack it.
  init(context: Context, _ sources: KernelSources, disk: DeviceCache?, describing: Bool) {
    self.context = context
    self.sources = sources
    self.disk = describing ? nil : disk
    options = sources.options + (describing ? " -cl-kernel-arg-info" : "")
  }

  func kernel(_ specialization: KernelSpecialization) throws -> Kernel {
    if let kernel = kernels[specialization] { return kernel }
    let key = ProgramKey(file: specialization.file, options: specialization.options)
    let program: Program
    if let built = programs[key] {
      program = built
    } else {
      program = try build(specialization.file, options: "\(options) \(key.options)")
      programs[key] = program
    }
    let kernel = try kernel(specialization, in: program)
    kernels[specialization] = kernel
    return kernel
  }

  private func kernel(_ specialization: KernelSpecialization, in program: Program) throws -> Kernel {
    do { return try Kernel(specialization.kernel, in: program) } catch {
      // The file has this kernel, but the driver has taken a program that its cache holds only in part.
      let device = context.device
      guard error.name == "CL_INVALID_KERNEL_NAME", sources.folder == nil, try DriverQuirk.uncheckedCache.applies(to: device)
      else { throw error }
      throw PoCLCache.damage(of: try device.name, "the driver finds no kernel \(specialization.kernel) in \(specialization.file)")
    }
  }

  private func build(_ file: String, options: String) throws -> Program {
    let text = try sources.text(of: file)
    guard let disk else { return try compile(file, text, options) }
    let key = Checksum.of("\(options)\n\(text)".utf8)
    // A binary that the driver refuses counts as missing, because the source is still there.
    if let binary = disk.program(key), let program = try? Program(context: context, binary: binary, options: options) {
      return program
    }
    let program = try compile(file, text, options)
    let binary = try program.binary()
    if !binary.isEmpty { disk.save(binary, program: key) }
    return program
  }

  private func compile(_ file: String, _ text: String, _ options: String) throws -> Program {
    do { return try Program(context: context, source: text, options: options) } catch {
      let device = try context.device.name
      let advice: Message =
        sources.folder.map { "mend \($0)/\(file), or unset RESNET_KERNELS" }
        ?? "try another \(Setting.device) or a newer driver, and report this with the output of `resnet devices`"
      throw KernelBuildFailure(file: file, device: device, advice: advice, log: "\(error)")
    }
  }
}
