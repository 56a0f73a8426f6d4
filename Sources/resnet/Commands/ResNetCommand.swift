import ArgumentParser
import Compute
import Glibc
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
      ExportCommand.self, SummaryCommand.self, VerifyCommand.self, ReplayCommand.self, BenchCommand.self, TuneCommand.self,
      CacheCommand.self,
      RunGraphCommand.self, KernelsCommand.self, BuildKernelsCommand.self, ManualCommand.self,
    ])

  static let version = "0.1.0-dev"

  static func main() {
    guard fcntl(STDOUT_FILENO, F_GETFD) != -1 else {
      printError("Error: standard output is closed: give it a file, or /dev/null where nobody is to read it")
      leave(.failure)
    }
    occupyStandardStreams()
    // With the signal ignored, a write beyond a file-size limit fails with an error instead of ending the process.
    signal(SIGXFSZ, SIG_IGN)
    Signals.unblock()
    var expanded: ExpandedArguments?
    do {
      let arguments = try ExpandedArguments(Array(CommandLine.arguments.dropFirst()))
      expanded = arguments
      var command = try parseAsRoot(arguments.arguments)
      try command.run()
      DriverStarts.end()
      Display.shared.finish()
      try requireWrittenOutput()
    } catch let failure as Failure {
      Display.shared.finish()
      printError("Error: \(failure.line)")
      leave(failure.kind == .conflictingSetting ? .validationFailure : .failure)
    } catch is CancellationError {
      Display.shared.finish()
      leave(Signals.exitCode)
    } catch {
      Display.shared.finish()
      endWithHelp(error)
      let complaint = Suggestions.text(for: error, Array(CommandLine.arguments.dropFirst()))
      let text = expanded?.locating(complaint) ?? complaint
      for line in text.split(separator: "\n") { printError(String(line)) }
      leave(exitCode(for: error))
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
      leave(.failure)
    }
    leave(.success)
  }

  /// Ends the program, after its output is written.
  private static func leave(_ code: ExitCode) -> Never {
    DriverStarts.end()
    StandardStreams.finish()
    Glibc.exit(code.rawValue)
  }

  /// Checks that all output was written. Ends the program silently if the reader of its output has gone, or if text for standard
  /// error is lost.
  /// - Throws: ``Failure`` if something that was printed could not be written.
  private static func requireWrittenOutput() throws(Failure) {
    StandardStreams.finish()
    let reason = StandardStreams.output.failure
    if reason == EPIPE { leave(ExitCode(128 + SIGPIPE)) }
    if reason != 0 {
      throw Failure(.inputOutput, "cannot write to standard output: \(String(cString: strerror(reason)))")
    }
    if StandardStreams.error.failure != 0 { leave(.failure) }
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
