import Kernels

/// Lists the kernels that some work needs without building any, or builds them in advance.
extension OpenCLBackend {
  /// Lists the kernels that some work would need on a device, in the order of their first launch.
  /// - Parameter work: runs on a backend whose tensors have no memory and whose results are zeros.
  package static func kernels(
    on traits: DeviceTraits, of work: (OpenCLBackend) throws -> Void
  ) rethrows -> [KernelBuild] {
    let lister = KernelLister(listsTrials: true)
    try work(OpenCLBackend("list of kernels", ConvolutionPlanner(traits), lister, alignment: 128))
    return lister.kernels.map(KernelBuild.init)
  }

  /// Lists the kernels that some work would need on this device, with its tuning.
  package func kernels(of work: (OpenCLBackend) throws -> Void) rethrows -> [KernelBuild] {
    let lister = KernelLister(listsTrials: true)
    try work(OpenCLBackend(name, ConvolutionPlanner(traits), lister, alignment: alignment, tuning: tuning))
    return lister.kernels.map(KernelBuild.init)
  }

  /// Key that tells apart devices on which the same work needs different kernels.
  package var planningKey: String { "\(traits) \(tuning.json)" }

  /// Builds some of the kernels that `work` needs, by launching each of them once on uninitialized memory. The backend must not
  /// be used for anything else afterwards.
  /// - Parameter onBuild: called with each kernel before it is built.
  /// - Throws: any error that the work throws.
  package func build(
    _ kernels: Set<KernelBuild>, of work: (OpenCLBackend) throws -> Void, onBuild: @escaping (KernelBuild) -> Void
  ) throws {
    deviceExecutor?.onlyBuilds = kernels
    deviceExecutor?.onBuild = onBuild
    try work(self)
  }

  /// Calls `onBuild` with each kernel before its first launch, and then waits for that launch. Nil ends this.
  package func watchBuilds(_ onBuild: ((KernelBuild) -> Void)?) { deviceExecutor?.onBuild = onBuild }

  /// Returns the name and the text of every kernel file, with its headers inlined.
  package static func kernelFiles() throws -> [(name: String, text: String)] {
    let sources = KernelSources()
    return try KernelFiles.sources.map { ($0, try sources.text(of: $0)) }
  }
}
