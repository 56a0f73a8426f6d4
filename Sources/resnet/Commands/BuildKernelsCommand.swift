import ArgumentParser
import Foundation
import OpenCLBackend
import ResNetKit
import Support

/// Builds a part of the kernels of some work, as a process that ``KernelBuilder`` starts.
struct BuildKernelsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "build-kernels", abstract: "Build kernels by an order on standard input.", shouldDisplay: false)

  /// Last line of a process: it has built all its kernels, or an error kept it from that.
  static let (end, failure) = ("end", "failure")

  @OptionGroup var device: DeviceOption

  func run() throws {
    // The waiting process handles signals that all processes of a run get, and ends this one by SIGTERM.
    for number in [SIGINT, SIGHUP, SIGQUIT, SIGXCPU, SIGUSR1, SIGUSR2] { signal(number, SIG_IGN) }
    let order: KernelBuilder.Order
    do {
      order = try JSONDecoder().decode(KernelBuilder.Order.self, from: FileHandle.standardInput.readToEnd() ?? Data())
    } catch {
      throw Failure(
        .damagedFile,
        "standard input is no order to build kernels: `resnet train` and others give it by themselves")
    }
    guard order.work.images.count == 4, order.work.images.allSatisfy({ (1...1 << 20).contains($0) }) else {
      throw Failure(.damagedFile, "images of \(order.work.images) are no batch [N,H,W,C]")
    }
    let place = try device.place(order.isTuned ? .known : .off)
    let backend = try place.openOne(place.openCLDevices()[0], table: order.isTuned ? nil : TuningTable())
    do {
      let wanted = Set(order.kernels)
      let kernels = try backend.kernels { try order.work.rehearse(on: $0) }.filter { wanted.contains(DeviceCache.key(of: $0)) }
      try backend.build(
        Set(kernels), of: { try order.work.rehearse(on: $0) }, onBuild: { print("\(order.part) \($0)") })
      try backend.finish()
      print("\(order.part) \(Self.end)")
    } catch {
      // The waiting process meets the same error and reports it.
      printError((error as? Failure)?.line ?? "\(error)")
      print("\(order.part) \(Self.failure)")
    }
  }
}
