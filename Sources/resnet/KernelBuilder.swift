import ArgumentParser
import Compute
import Foundation
import OpenCL
import OpenCLBackend
import ResNetKit
import Support

/// Builds kernels that a driver has not built before, in processes of their own. If a driver ends such a process while it
/// compiles, nothing else is lost. A CPU's driver compiles one kernel at a time, so several processes work side by side.
struct KernelBuilder {
  /// Order for a process of ``BuildKernelsCommand``.
  struct Order: Codable {
    let work: Work
    let isTuned: Bool
    /// Index of the process.
    let part: Int
    /// Kernels that the process builds, by the keys of ``DeviceCache``.
    let kernels: [String]
  }

  let target: KernelTarget

  /// Builds those kernels of the work that are new. If a process has died when it began to use the driver, the driver may have
  /// ended it, so all kernels are new.
  /// - Parameter backend: device, opened as the command will use it.
  /// - Throws: ``Failure`` if the driver ends the process; the exit code of a signal that came meanwhile.
  func build(_ work: Work, for backend: OpenCLBackend) throws {
    let cache = target.cache
    // If neither the driver nor this program can keep kernels, everything would be built twice.
    guard try DriverQuirk.keepsKernels.applies(to: target.device) || cache?.canKeep == true else { return }
    let left = cache.map(StartMarker.left) ?? []
    // The driver's own files may have been removed.
    let isKnown = try left.isEmpty && (!DriverQuirk.keepsKernels.applies(to: target.device) || InputFile.exists(PoCLCache.folder))
    try build(work, for: backend, isKnown ? cache?.knownKernels() ?? [] : [])
    for path in left { StartMarker.remove(path) }
    let hasUncheckedCache = try DriverQuirk.uncheckedCache.applies(to: target.device)
    DriverStarts.begin(cache, driverCache: hasUncheckedCache ? PoCLCache.folder : nil)
  }

  /// - Parameter known: kernels and works that the driver has built before.
  private func build(_ work: Work, for backend: OpenCLBackend, _ known: Set<String>) throws {
    // Listing the kernels of a deep network takes a while, so known work ends here.
    let key = try work.key(on: backend)
    if known.contains(key) { return }
    let kernels = try backend.kernels { try work.rehearse(on: $0) }
    let new = kernels.filter { !known.contains(DeviceCache.key(of: $0)) }
    // With a driver that is known to work, building a few kernels takes no longer than starting processes for them.
    if !known.isEmpty && (1..<16).contains(new.count) { return }
    if try new.isEmpty || build(new, of: work, for: backend) { target.cache?.remember(new.map(DeviceCache.key) + [key]) }
  }

  /// Estimated memory of a compiler in bytes.
  private static let bytesOfCompiler = 512 << 20

  /// Builds kernels in processes and waits for them.
  /// - Returns: whether all kernels were built.
  private func build(_ new: [KernelBuild], of work: Work, for backend: OpenCLBackend) throws -> Bool {
    let most = max(1, min(new.count / 4, 16, HostMemory.available() / Self.bytesOfCompiler))
    let parts = try target.device.kind == .cpu ? min(target.device.computeUnits, most) : 1
    let smallest = try work.smallest(on: backend)
    var workers = KernelWorkers(count: new.count)
    for (part, kernels) in Self.shares(of: new, parts).enumerated() {
      try workers.start(order(of: smallest, part, kernels), target.selector, target.math)
    }
    do { return try workers.wait() } catch let death as DriverDeath {
      let kernel = new.first { "\($0)" == death.kernel } ?? new[0]
      if !death.isLackOfMemory, try !diesWithEmptyCache(order(of: smallest, 0, [kernel])) {
        throw PoCLCache.damage(of: backend.name, "the driver \(death.how) as it used \(kernel)")
      }
      throw death.failure(of: backend.name)
    }
  }

  private func order(of work: Work, _ part: Int, _ kernels: [KernelBuild]) -> Order {
    Order(work: work, isTuned: target.isTuned, part: part, kernels: kernels.map(DeviceCache.key))
  }

  /// Finds out whether the driver ends a process even if its cache is empty.
  private func diesWithEmptyCache(_ order: Order) throws -> Bool {
    guard try DriverQuirk.uncheckedCache.applies(to: target.device), InputFile.exists(PoCLCache.folder) else { return true }
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("resnet-empty-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer {
      do { try FileManager.default.removeItem(at: folder) } catch {
        printError("warning: cannot remove \(folder.path): \(error)")
      }
    }
    var workers = KernelWorkers(count: 1, environment: [PoCLCache.variable: folder.path])
    try workers.start(order, target.selector, target.math)
    do { return try !workers.wait() } catch is DriverDeath { return true }
  }

  /// Deals kernels out to processes, about as many to each. Kernels of one program stay together, so that it is compiled once.
  static func shares(of kernels: [KernelBuild], _ parts: Int) -> [[KernelBuild]] {
    var shares = [[KernelBuild]](repeating: [], count: parts)
    let programs = Dictionary(grouping: kernels.indices) { [kernels[$0].file, kernels[$0].options] }
    // The largest first; among equals the order of the list, so that the result is always the same.
    for program in programs.values.sorted(by: { ($1.count, $0[0]) < ($0.count, $1[0]) }) {
      let part = shares.indices.min { shares[$0].count < shares[$1].count }!
      shares[part] += program.map { kernels[$0] }
    }
    return shares.filter { !$0.isEmpty }
  }
}
