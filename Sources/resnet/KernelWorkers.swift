import ArgumentParser
import Compute
import Foundation
import ResNetKit
import Support

/// Processes that build kernels, and their reports.
struct KernelWorkers {
  private let count: Int
  /// Variables that differ from this process's own.
  private let environment: [String: String]
  private let said = Pipe()
  private var processes: [(process: Process, errors: FileHandle)] = []

  init(count: Int, environment: [String: String] = [:]) { (self.count, self.environment) = (count, environment) }

  mutating func start(_ order: KernelBuilder.Order, _ selector: String, _ math: MathMode) throws {
    let (process, input) = (Process(), Pipe())
    process.executableURL = URL(fileURLWithPath: try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
    process.arguments = ["build-kernels", "--device", selector, "--math", math.rawValue]
    // Swift's crash report is disabled, so that the driver's last message comes last.
    process.environment = ProcessInfo.processInfo.environment.merging(["SWIFT_BACKTRACE": "enable=no"]) { $1 }
      .merging(environment) { $1 }
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
  /// - Throws: ``DriverDeath`` if a process did not end in order; the exit code of a signal that came meanwhile.
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
  private func death(of worker: (process: Process, errors: FileHandle), at kernel: String?) -> DriverDeath {
    try? worker.errors.seek(toOffset: 0)
    let text = String(decoding: (try? worker.errors.readToEnd()) ?? Data(), as: UTF8.self)
    return DriverDeath(
      kernel: kernel, code: worker.process.terminationStatus,
      isSignal: worker.process.terminationReason == .uncaughtSignal, words: text.split(separator: "\n").last.map(String.init))
  }
}

/// End of a process that its driver, or the system, has ended.
struct DriverDeath: Error {
  /// Kernel that was being built; nil if none was.
  let kernel: String?
  /// Exit code or number of the signal.
  let code: Int32
  let isSignal: Bool
  /// Last line that the process printed; nil if it printed none.
  let words: String?

  var how: String {
    isSignal
      ? "ended the process (signal \(code), \(String(cString: strsignal(code))))" : "ended the process (exit code \(code))"
  }

  /// Whether the process had too little memory: the system kills such a process, and compilers say so.
  var isLackOfMemory: Bool {
    let words = words?.lowercased() ?? ""
    return (isSignal && code == SIGKILL)
      || ["bad_alloc", "out of memory", "cannot allocate memory"].contains { words.contains($0) }
  }

  func failure(of device: String) -> Failure {
    let last = words.map { "; its last words: \($0)" } ?? ""
    if isLackOfMemory {
      let remedy = HostMemory.advice() ?? "end other programs"
      return Failure(
        .outOfMemory, about: device, "there was too little memory to compile \(kernel ?? "the first kernel"): the driver \(how)",
        remedy: "\(remedy); a process that compiles takes about 300 MB\(last)")
    }
    return Failure(
      .device, about: device, "the driver \(how) while it compiled \(kernel ?? "its first kernel")",
      remedy: "try another \(Setting.device) or a newer driver, and report this with the output of `resnet devices`\(last)")
  }
}
