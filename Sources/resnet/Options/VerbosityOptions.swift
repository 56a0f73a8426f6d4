import ArgumentParser
import Compute
import Logging
import OpenCLBackend
import Parallel
import Support
import Synchronization

/// Options `--quiet` and `--verbose`, for the commands that take time.
struct VerbosityOptions: ParsableArguments {
  @Flag(help: "Print only results, warnings and errors: no progress.")
  var quiet = false

  @Flag(help: "Also print on standard error what is done inside: kernels with their build times, tuning tables, memory.")
  var verbose = false

  func validate() throws {
    if quiet && verbose { throw ValidationError("--quiet and --verbose say the opposite: leave one out") }
  }

  /// Begins to show progress as the options say.
  /// - Parameter stream: stream of the progress. A command whose results go to standard output shows it on standard error.
  func begin(_ stream: Display.Stream = .error) {
    Display.shared.isQuiet = quiet
    Display.shared.use(stream)
    if verbose { Log.level.store(.debug) }
    Display.shared.begin(.preparing)
  }
}

/// Messages about what is done inside, which `--verbose` prints on standard error.
enum Log {
  static let level = LogLevel()

  /// Level from which on messages are printed.
  final class LogLevel: Sendable {
    private let value = Mutex(Logger.Level.warning)
    func store(_ level: Logger.Level) { value.withLock { $0 = level } }
    var current: Logger.Level { value.withLock { $0 } }
  }

  private static let logger = Logger(label: "resnet") { _ in StandardErrorLog() }

  /// Prints a message with the time since the program began, if `--verbose` asks for it.
  static func debug(_ message: @autoclosure () -> String) { logger.debug("\(message())") }

  /// Describes a device that was opened.
  static func opened(_ backend: any Backend) {
    for device in (backend as? ParallelBackend)?.devices ?? [backend] {
      debug("device \(device.name)")
      if let device = device as? OpenCLBackend {
        debug("tuning table: \(grouped(device.tuning.entries.count)) convolutions")
      }
    }
  }

  /// Describes the memory that a device's buffers take now.
  static func memory(of backend: any Backend) {
    let use = backend.memory
    debug("memory in use \(bytes(use.bytesInUse)), at most \(bytes(use.peakBytesInUse)), held \(bytes(use.bytesHeld))")
  }
}

/// Handler of log messages that prints them apart from the line of progress.
private struct StandardErrorLog: LogHandler {
  var metadata: Logger.Metadata = [:]
  var logLevel: Logger.Level {
    get { Log.level.current }
    set { Log.level.store(newValue) }
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) { printError("\(event.level) \(fixed(Display.shared.now, 2)) s: \(event.message)", .progress) }
}
