import ArgumentParser
import Compute
@preconcurrency import Glibc  // `stdout` is a variable in C.
import ResNetKit
import Support

@main
struct ResNetCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resnet",
    abstract: "Train and run residual networks on any OpenCL device.",
    usage: "resnet <subcommand> [options]",
    discussion: examples("resnet devices", "resnet train", "resnet evaluate"),
    version: version,
    subcommands: [
      DevicesCommand.self, TrainCommand.self, EvaluateCommand.self, PredictCommand.self, SimilarCommand.self,
      LandscapeCommand.self, StudyCommand.self, RunsCommand.self, ReportCommand.self,
      ImportCommand.self,
      ExportCommand.self, SummaryCommand.self, VerifyCommand.self, BenchCommand.self, TuneCommand.self, CacheCommand.self,
      RunGraphCommand.self, KernelsCommand.self, BuildKernelsCommand.self, ManualCommand.self,
    ])

  static let version = "0.1.0-dev"

  static func main() {
    guard fcntl(STDOUT_FILENO, F_GETFD) != -1 else {
      printError("Error: standard output is closed: give it a file, or /dev/null where nobody is to read it")
      Glibc.exit(ExitCode.failure.rawValue)
    }
    occupyStandardStreams()
    // With the signal ignored, a write beyond a file-size limit fails with an error instead of ending the process.
    signal(SIGXFSZ, SIG_IGN)
    // Lines are flushed one by one, so that the reader of a pipe sees each when it is printed.
    setvbuf(stdout, nil, _IOLBF, 0)
    Signals.unblock()
    var expanded: ExpandedArguments?
    do {
      let arguments = try ExpandedArguments(Array(CommandLine.arguments.dropFirst()))
      expanded = arguments
      var command = try parseAsRoot(arguments.arguments)
      try command.run()
      Display.shared.finish()
      try requireWrittenOutput()
    } catch let failure as Failure {
      Display.shared.finish()
      printError("Error: \(failure.line)")
      Glibc.exit((failure.kind == .conflictingSetting ? ExitCode.validationFailure : .failure).rawValue)
    } catch is CancellationError {
      Display.shared.finish()
      Glibc.exit(Signals.exitCode.rawValue)
    } catch {
      Display.shared.finish()
      endWithHelp(error)
      let complaint = Suggestions.text(for: error, Array(CommandLine.arguments.dropFirst()))
      let text = expanded?.locating(complaint) ?? complaint
      for line in text.split(separator: "\n") { printError(String(line)) }
      Glibc.exit(exitCode(for: error).rawValue)
    }
  }

  /// Opens those of standard input and standard error that the caller left closed, so that no other file takes their place. They
  /// are opened for reading only, so that a write to standard error fails and is noticed.
  private static func occupyStandardStreams() {
    for descriptor in [STDIN_FILENO, STDERR_FILENO] where fcntl(descriptor, F_GETFD) == -1 {
      _ = open("/dev/null", O_RDONLY)  // The lowest free descriptor is this one.
    }
  }

  /// Prints help, a version or a completion script, which counts as output too, and ends the program.
  private static func endWithHelp(_ error: any Error) {
    guard exitCode(for: error) == .success else { return }
    let text = CompletionScript.amended(fullMessage(for: error))
    if !text.isEmpty { print(text) }
    do { try requireWrittenOutput() } catch {
      printError("Error: \(error.line)")
      Glibc.exit(ExitCode.failure.rawValue)
    }
    Glibc.exit(ExitCode.success.rawValue)
  }

  /// Checks that all output was written. Ends the program silently if the reader of its output has gone, or if text for standard
  /// error is lost.
  /// - Throws: ``Failure`` if something that was printed could not be written.
  private static func requireWrittenOutput() throws(Failure) {
    var reason = fflush(stdout) == 0 ? 0 : errno
    if reason == 0 && ferror(stdout) != 0 {
      // An earlier write has failed. Another one fails too unless there is room by now.
      reason = write(STDOUT_FILENO, "\n", 1) == 1 ? EIO : errno
    }
    if reason == EPIPE { Glibc.exit(128 + SIGPIPE) }
    if reason != 0 {
      throw Failure(.inputOutput, "cannot write to standard output: \(String(cString: strerror(reason)))")
    }
    if StandardError.isLost { Glibc.exit(ExitCode.failure.rawValue) }
  }
}

/// Access for tests of documents.
package enum CommandLineInterface {
  /// Parses and validates arguments, without running the command.
  /// - Throws: the error that the program would print.
  package static func check(_ arguments: [String]) throws {
    do { _ = try ResNetCommand.parseAsRoot(arguments) } catch  where ResNetCommand.exitCode(for: error) == .success {
      // The arguments ask for a completion script, which comes as an error.
    }
  }

  /// Returns what the program prints for wrong arguments; nil if they are right.
  package static func complaint(about arguments: [String]) -> String? {
    do { try check(arguments) } catch { return Suggestions.text(for: error, arguments) }
    return nil
  }

  /// Command lines of all commands that the help lists, for example `["bench", "model"]`.
  package static var commands: [[String]] {
    HelpDump.root.leaves.map { $0.path.split(separator: " ").dropFirst().map(String.init) }
  }

  /// Returns the help of a command.
  /// - Parameters:
  ///   - columns: width of the terminal.
  ///   - isFull: whether rare options are included.
  package static func help(of command: [String], columns: Int, isFull: Bool = false) -> String {
    do {
      var help = try ResNetCommand.parseAsRoot(command + [isFull ? "--help-hidden" : "--help"])
      try help.run()
      return ""
    } catch { return ResNetCommand.fullMessage(for: error, columns: columns) }
  }

  /// Titles of the groups of options, in their order.
  package static var groups: [String] { HelpGroup.order }

  /// Returns the parser's description of the program as JSON.
  package static var description: String { ResNetCommand._dumpHelp() }
}
