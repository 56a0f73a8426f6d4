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
    occupyStandardStreams()
    // A write that passes a file-size limit fails with an error instead of ending the process.
    signal(SIGXFSZ, SIG_IGN)
    // Whoever reads a pipe sees every line when it is printed.
    setvbuf(stdout, nil, _IOLBF, 0)
    do {
      var command = try parseAsRoot()
      try command.run()
      if fflush(stdout) != 0 || ferror(stdout) != 0 {
        throw Failure("cannot write to standard output: \(String(cString: strerror(errno)))")
      }
    } catch let failure as Failure {
      printError("Error: \(failure)")
      Glibc.exit(ExitCode.failure.rawValue)
    } catch {
      exit(withError: error)
    }
  }

  /// Opens what the caller left closed of standard input, output and error, so that no file of ours takes their place.
  private static func occupyStandardStreams() {
    for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) == -1 {
      _ = open("/dev/null", O_RDWR)  // The lowest free number, which is this one.
    }
  }
}
