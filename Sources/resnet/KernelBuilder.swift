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

  /// Builds those kernels of the work that are new.
  /// - Parameter backend: device, opened as the command will use it.
  /// - Throws: ``Failure`` if the driver ends the process; the exit code of a signal that came meanwhile.
  func build(_ work: Work, for backend: OpenCLBackend) throws {
    let cache = target.cache
    // If neither the driver nor this program can keep kernels, everything would be built twice.
    let isPoCL = try target.device.platform.isPoCL
    guard isPoCL || cache?.canKeep == true else { return }
    // PoCL's own files may have been removed.
    let known = isPoCL && !InputFile.exists(PoCLCache.folder) ? [] : cache?.knownKernels() ?? []
    // Listing the kernels of a deep network takes a while, so known work ends here.
    let key = try key(of: work, on: backend)
    if known.contains(key) { return }
    let kernels = try backend.kernels { try work.rehearse(on: $0) }
    let new = kernels.filter { !known.contains(DeviceCache.key(of: $0)) }
    // With a driver that is known to work, building a few kernels takes no longer than starting processes for them.
    if !known.isEmpty && (1..<16).contains(new.count) { return }
    if try new.isEmpty || build(new, of: work, for: backend) { cache?.remember(new.map(DeviceCache.key) + [key]) }
  }

  /// Estimated memory of a compiler in bytes.
  private static let bytesOfCompiler = 512 << 20

  /// Builds kernels in processes and waits for them.
  /// - Returns: whether all kernels were built.
  private func build(_ new: [KernelBuild], of work: Work, for backend: OpenCLBackend) throws -> Bool {
    let most = max(1, min(new.count / 4, 16, HostMemory.available() / Self.bytesOfCompiler))
    let parts = try target.device.kind == .cpu ? min(target.device.computeUnits, most) : 1
    let smallest = try work.smallest(on: backend)
    var workers = Workers(count: new.count, on: backend.name)
    for (part, kernels) in Self.shares(of: new, parts).enumerated() {
      let order = Order(work: smallest, isTuned: target.isTuned, part: part, kernels: kernels.map(DeviceCache.key))
      try workers.start(order, target.selector, target.math)
    }
    return try workers.wait()
  }

  /// Returns a key that tells one work from another, with the choices of kernels that it meets on a device.
  private func key(of work: Work, on backend: OpenCLBackend) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    return Checksum.of(Array(try encoder.encode(work)) + Array("\(backend.planningKey)".utf8))
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

/// Processes that build kernels, and their reports.
private struct Workers {
  private let count: Int
  private let device: String
  private let said = Pipe()
  private var processes: [(process: Process, errors: FileHandle)] = []

  init(count: Int, on device: String) { (self.count, self.device) = (count, device) }

  mutating func start(_ order: KernelBuilder.Order, _ selector: String, _ math: MathMode) throws {
    let (process, input) = (Process(), Pipe())
    process.executableURL = URL(fileURLWithPath: try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
    process.arguments = ["build-kernels", "--device", selector, "--math", math.rawValue]
    // Swift's crash report is disabled, so that the driver's last message comes last.
    process.environment = ProcessInfo.processInfo.environment.merging(["SWIFT_BACKTRACE": "enable=no"]) { $1 }
    // Without a place for temporary files, only the driver's last message is lost.
    guard let file = tmpfile() ?? fopen("/dev/null", "r+") else {
      throw Failure(.inputOutput, "cannot open /dev/null: \(String(cString: strerror(errno)))")
    }
    let errors = FileHandle(fileDescriptor: dup(fileno(file)), closeOnDealloc: true)
    fclose(file)
    // Foundation closes the pipe that it is given, so each process gets a descriptor of its own.
    let output = FileHandle(fileDescriptor: dup(said.fileHandleForWriting.fileDescriptor), closeOnDealloc: true)
    (process.standardInput, process.standardOutput, process.standardError) = (input, output, errors)
    do {
      try process.run()
      processes.append((process, errors))
      try output.close()
      try input.fileHandleForWriting.write(contentsOf: JSONEncoder().encode(order))
      try input.fileHandleForWriting.close()
    } catch {
      terminate()
      throw Failure(.inputOutput, "cannot start a process to build kernels in: \(error)")
    }
  }

  private func terminate() { for (process, _) in processes where process.isRunning { process.terminate() } }

  /// Waits for all processes, and shows their progress.
  /// - Returns: whether each process built all its kernels. If an error kept one from it, this process meets the same error
  ///   later.
  func wait() throws -> Bool {
    try said.fileHandleForWriting.close()
    Display.shared.begin(.compiling, of: count)
    defer { Display.shared.begin(.preparing) }
    var rest = ""
    var (current, ended, failed): ([Int: (kernel: String, since: Double)], Set<Int>, Bool) = ([:], [], false)
    var buffer = [UInt8](repeating: 0, count: 4096)
    var waiting = pollfd(fd: said.fileHandleForReading.fileDescriptor, events: Int16(POLLIN), revents: 0)
    while true {
      if Signals.pending != nil { terminate() }
      // A signal is noticed within a fifth of a second, however long a kernel takes.
      if poll(&waiting, 1, 200) <= 0 { continue }
      let count = read(waiting.fd, &buffer, buffer.count)
      if count == 0 || (count < 0 && errno != EINTR) { break }
      if count < 0 { continue }
      rest += String(decoding: buffer[..<count], as: UTF8.self)
      var lines = rest.split(separator: "\n", omittingEmptySubsequences: false)
      rest = String(lines.removeLast())
      for line in lines {
        let words = line.split(separator: " ", maxSplits: 1)
        guard words.count == 2, let part = Int(words[0]) else { continue }
        let now = Display.shared.now
        if let (kernel, since) = current[part] { Log.debug("built \(kernel) in \(fixed(now - since, 2)) s") }
        if words[1] == BuildKernelsCommand.end || words[1] == BuildKernelsCommand.failure {
          ended.insert(part)
          failed = failed || words[1] == BuildKernelsCommand.failure
        } else {
          current[part] = (String(words[1]), now)
          Display.shared.advance()
        }
      }
    }
    for (process, _) in processes { process.waitUntilExit() }
    if Signals.pending != nil { throw Signals.exitCode }
    for (part, worker) in processes.enumerated() where !ended.contains(part) {
      throw death(of: worker, at: current[part]?.kernel)
    }
    return !failed
  }

  /// Describes the end of a process whose driver has ended it.
  private func death(of worker: (process: Process, errors: FileHandle), at kernel: String?) -> Failure {
    let code = worker.process.terminationStatus
    let how =
      worker.process.terminationReason == .uncaughtSignal
      ? "ended the process (signal \(code), \(String(cString: strsignal(code))))" : "ended the process (exit code \(code))"
    try? worker.errors.seek(toOffset: 0)
    let text = String(decoding: (try? worker.errors.readToEnd()) ?? Data(), as: UTF8.self)
    let last = text.split(separator: "\n").last.map { "; its last words: \($0)" } ?? ""
    return Failure(
      .device, about: device, "the driver \(how) while it compiled \(kernel ?? "its first kernel")",
      remedy: "try another \(Setting.device) or a newer driver, and report this with the output of `resnet devices`\(last)")
  }
}

/// Builds a part of the kernels of some work, as a process that ``KernelBuilder`` starts.
struct BuildKernelsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "build-kernels", abstract: "Build kernels by an order on standard input.", shouldDisplay: false)

  /// Last line of a process: it has built all its kernels, or an error kept it from that.
  static let (end, failure) = ("end", "failure")

  @OptionGroup var device: DeviceOption

  func run() throws {
    // The waiting process handles Ctrl-C.
    signal(SIGINT, SIG_IGN)
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

/// Report of kernels that are built one after the other, and of the time that each takes.
final class BuildLog {
  private var current: (kernel: String, since: Double)?
  private var count = 0

  init() {}

  /// Reports the kernels that a device builds from now on. Those that were not built ahead are built in the first step.
  convenience init(watching backend: any Backend) {
    self.init()
    (backend as? OpenCLBackend)?.watchBuilds { self.begin("\($0)", of: nil) }
  }

  /// Reports that the first step is done.
  func endWatching(_ backend: any Backend) {
    finish()
    (backend as? OpenCLBackend)?.watchBuilds(nil)
  }

  /// Reports that a kernel is being built, and so that the one before is done.
  /// - Parameter total: number of kernels; nil if it is not known.
  func begin(_ kernel: String, of total: Int?) {
    if count == 0 { Display.shared.begin(.compiling, of: total) }
    finish()
    current = (kernel, Display.shared.now)
    count += 1
    Display.shared.advance(to: count)
  }

  /// Reports that the last kernel is done.
  func finish() {
    if let current { Log.debug("built \(current.kernel) in \(fixed(Display.shared.now - current.since, 2)) s") }
    current = nil
  }
}
