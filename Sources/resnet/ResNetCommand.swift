import ArgumentParser
import Compute
@preconcurrency import Glibc  // `stdout` is a variable in C.

@main
struct ResNetCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resnet",
    abstract: "Train and run residual networks on any OpenCL device.",
    subcommands: [
      DevicesCommand.self, TrainCommand.self, EvaluateCommand.self, PredictCommand.self, ImportCommand.self, ExportCommand.self,
      SummaryCommand.self, VerifyCommand.self, BenchCommand.self, TuneCommand.self, CacheCommand.self,
      RunGraphCommand.self, KernelsCommand.self, BuildKernelsCommand.self,
    ])

  static func main() {
    guard fcntl(STDOUT_FILENO, F_GETFD) != -1 else {
      printError("Error: standard output is closed: give it a file, or /dev/null where nobody is to read it")
      Glibc.exit(ExitCode.failure.rawValue)
    }
    occupyStandardStreams()
    // A write that passes a file-size limit fails with an error instead of ending the process.
    signal(SIGXFSZ, SIG_IGN)
    // Whoever reads a pipe sees every line when it is printed.
    setvbuf(stdout, nil, _IOLBF, 0)
    do {
      var command = try parseAsRoot()
      try command.run()
      try requireWrittenOutput()
    } catch let failure as Failure {
      printError("Error: \(failure)")
      Glibc.exit(ExitCode.failure.rawValue)
    } catch {
      endWithHelp(error)
      exit(withError: error)
    }
  }

  /// Opens what the caller left closed of standard input and error, so that no file of ours takes their place. They can be read
  /// alone, so that what is written to standard error fails and is noticed.
  private static func occupyStandardStreams() {
    for descriptor in [STDIN_FILENO, STDERR_FILENO] where fcntl(descriptor, F_GETFD) == -1 {
      _ = open("/dev/null", O_RDONLY)  // The lowest free number, which is this one.
    }
  }

  /// Help, a version or a completion script that was asked for is output as well, and ends the program here.
  private static func endWithHelp(_ error: any Error) {
    guard exitCode(for: error) == .success else { return }
    let text = fullMessage(for: error)
    if !text.isEmpty { print(text) }
    do { try requireWrittenOutput() } catch {
      printError("Error: \(error)")
      Glibc.exit(ExitCode.failure.rawValue)
    }
    Glibc.exit(ExitCode.success.rawValue)
  }

  /// Ends the program without a word where the reader of its output has gone, or where what it had to say on standard error is lost.
  /// - Throws: a ``Failure`` where something that was printed could not be written.
  private static func requireWrittenOutput() throws {
    var reason = fflush(stdout) == 0 ? 0 : errno
    if reason == 0 && ferror(stdout) != 0 {
      // A write has failed earlier, and fails again unless there is room by now.
      reason = write(STDOUT_FILENO, "\n", 1) == 1 ? EIO : errno
    }
    if reason == EPIPE { Glibc.exit(128 + SIGPIPE) }
    if reason != 0 { throw Failure("cannot write to standard output: \(String(cString: strerror(reason)))") }
    if StandardError.isLost { Glibc.exit(ExitCode.failure.rawValue) }
  }
}
