import Foundation
import Testing
import resnet

/// The `resnet` that was built with these tests, run as a user runs it.
enum Program {
  /// The executable lies beside the test bundle.
  static let path =
    Bundle.main.executableURL.map { $0.deletingLastPathComponent().appendingPathComponent("resnet").path } ?? "resnet"

  /// Cache folder that the programs use as their user's cache: empty at first, and never the user's own. Removed when the
  /// tests end.
  static let cache: String = {
    atexit { try? FileManager.default.removeItem(atPath: Program.cachePath) }
    return cachePath
  }()
  private static let cachePath = FileManager.default.temporaryDirectory.appendingPathComponent(
    "resnet-cache-\(UUID().uuidString)"
  ).path

  struct Result {
    /// Exit code, or the signal that ended the program.
    var code: Int32
    var wasKilled: Bool
    var out, err: String

    /// Lines of standard error, without the error count that PoCL's compiler prints itself: "2 errors generated."
    var errorLines: [Substring] {
      err.split(separator: "\n").filter { $0.first?.isNumber != true || !$0.hasSuffix(" generated.") }
    }
    /// First line of standard error.
    var complaint: Substring { errorLines.first ?? "" }
  }

  /// Runs to the end. The limit is for programs that hang; it is far longer than building kernels takes on a busy machine.
  static func run(
    _ arguments: [String], environment: [String: String] = [:], in folder: String? = nil, limit: Double = 900
  ) throws -> Result {
    try Running(path, arguments, environment: environment, in: folder).end(limit: limit)
  }

  /// Runs a line of words on the CPU reference, for tests whose results do not depend on the device: it takes a tiny network a
  /// twentieth of the time that a process takes to load built kernels.
  static func onReference(_ line: String, environment: [String: String] = [:], in folder: String? = nil) throws -> Result {
    let words = line.split(separator: " ").map(String.init)
    let computes = ["train", "evaluate", "predict", "similar"].contains(words.first) && !words.contains("--device")
    return try run(words + (computes ? ["--device", "cpu"] : []), environment: environment, in: folder)
  }

  /// Runs a shell command, in which `"$0"` is the program.
  static func shell(_ line: String, in folder: String? = nil, limit: Double = 900) throws -> Result {
    try Running("/bin/sh", ["-c", line, path], environment: [:], in: folder).end(limit: limit)
  }
}

/// A running program.
final class Running {
  private let process = Process()
  private let files: [URL]

  /// - Parameters:
  ///   - terminal: terminal of standard input, output and error; nil for no input, and files.
  ///   - output: standard output; nil for the terminal or a file.
  init(
    _ path: String, _ arguments: [String], environment: [String: String] = [:], in folder: String? = nil,
    terminal: FileHandle? = nil, output: FileHandle? = nil
  ) throws {
    files = (0..<2).map { _ in FileManager.default.temporaryDirectory.appendingPathComponent("resnet-\(UUID().uuidString)") }
    // Output goes to files and not to pipes, so that nobody needs to read while the program runs.
    for file in files { try Data().write(to: file) }
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments
    // PoCL's own cache stays where it is; otherwise every program would build every kernel.
    let inherited = ProcessInfo.processInfo.environment
    let caches = inherited["XDG_CACHE_HOME"] ?? "\(inherited["HOME"] ?? "")/.cache"
    let own = ["XDG_CACHE_HOME": Program.cache, "POCL_CACHE_DIR": inherited["POCL_CACHE_DIR"] ?? "\(caches)/pocl/kcache"]
    process.environment = inherited.merging(own) { $1 }.merging(environment) { $1 }
    process.currentDirectoryURL = URL(fileURLWithPath: folder ?? FileManager.default.temporaryDirectory.path)
    process.standardInput = terminal ?? FileHandle.nullDevice
    process.standardOutput = try output ?? terminal ?? FileHandle(forWritingTo: files[0])
    process.standardError = try terminal ?? FileHandle(forWritingTo: files[1])
    try process.run()
  }

  deinit {
    if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    for file in files { try? FileManager.default.removeItem(at: file) }
  }

  func send(_ signal: Int32) { kill(process.processIdentifier, signal) }

  /// Waits until `condition` holds. Throws if the program ends first or after five minutes.
  func wait(for what: String, _ condition: () throws -> Bool) throws {
    let deadline = Date() + 300
    while try !condition() {
      guard process.isRunning && Date() < deadline else {
        throw Surprise("\(what) did not come; standard error: \(try String(contentsOf: files[1], encoding: .utf8))")
      }
      usleep(1000)
    }
  }

  /// Whether the program is still there.
  var isRunning: Bool { process.isRunning }

  /// Whether the program has a thread that takes signals, according to /proc.
  func takesSignals() throws -> Bool {
    let threads = "/proc/\(process.processIdentifier)/task"
    return try FileManager.default.contentsOfDirectory(atPath: threads).contains {
      // A thread may end meanwhile.
      (try? String(contentsOfFile: "\(threads)/\($0)/comm", encoding: .utf8)) == "signals\n"
    }
  }

  /// Waits for the end. A program that takes longer than `limit` seconds is killed, which the result shows.
  func end(limit: Double = 900) throws -> Program.Result {
    let deadline = Date() + limit
    while process.isRunning {
      if Date() > deadline { send(SIGKILL) }
      usleep(2000)
    }
    process.waitUntilExit()
    // Any command may report its progress on a slow machine.
    let lines = try String(contentsOf: files[1], encoding: .utf8).split(separator: "\n", omittingEmptySubsequences: false)
    return Program.Result(
      code: process.terminationStatus, wasKilled: process.terminationReason == .uncaughtSignal,
      out: try String(contentsOf: files[0], encoding: .utf8),
      err: lines.filter { !isProgress($0) }.joined(separator: "\n"))
  }

  /// Whether a line is one of progress: a kind of work and a count.
  private func isProgress(_ line: Substring) -> Bool {
    WorkProgress.Phase.allCases.contains { phase in
      line.hasPrefix("\(phase.rawValue) ") && line.dropFirst(phase.rawValue.count + 1).first?.isNumber == true
    }
  }
}

struct Surprise: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

func contents(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }

func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }
