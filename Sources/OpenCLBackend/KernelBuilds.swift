import Kernels

/// The kernels that work needs: listed without building any, or built ahead of it.
extension OpenCLBackend {
  /// The kernels that work would need on a device, in the order of their first launch.
  /// - Parameter work: runs on a backend whose tensors have no memory, and whose results are zeros.
  package static func kernels(
    on traits: DeviceTraits, of work: (OpenCLBackend) throws -> Void
  ) rethrows -> [KernelBuild] {
    let lister = KernelLister(listsTrials: true)
    try work(OpenCLBackend("list of kernels", traits, lister, alignment: 128))
    return lister.specialisations.map(KernelBuild.init)
  }

  /// The kernels that work would need on this device, with its tuning.
  package func kernels(of work: (OpenCLBackend) throws -> Void) rethrows -> [KernelBuild] {
    let lister = KernelLister(listsTrials: true)
    try work(OpenCLBackend(name, traits, lister, alignment: alignment, tuning: tuning))
    return lister.specialisations.map(KernelBuild.init)
  }

  /// Tells devices apart on which the same work needs other kernels.
  package var planningKey: String { "\(traits) \(tuning.json)" }

  /// Builds some of the kernels that work needs, by launching each of them once, on memory as it comes. The backend is of no other
  /// use afterwards.
  /// - Parameter onBuild: told of each kernel before it is built.
  /// - Throws: what the work throws.
  package func build(
    _ kernels: Set<KernelBuild>, of work: (OpenCLBackend) throws -> Void, onBuild: @escaping (KernelBuild) -> Void
  ) throws {
    deviceExecutor?.onlyBuilds = kernels
    deviceExecutor?.onBuild = onBuild
    try work(self)
  }

  /// Tells of each kernel before its first launch, which is then waited for; nil ends that.
  package func watchBuilds(_ onBuild: ((KernelBuild) -> Void)?) { deviceExecutor?.onBuild = onBuild }

  /// Every kernel file with its headers in place, by name.
  package static func kernelFiles() throws -> [(name: String, text: String)] {
    let sources = KernelSources()
    return try KernelSource.allCases.map { ($0.fileName, try sources.text(of: $0)) }
  }
}
