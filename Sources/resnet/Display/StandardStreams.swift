import Glibc

/// Standard output and standard error.
enum StandardStreams {
  /// Seconds after which the program ends although nobody reads what is left of its output.
  private static let grace = 2.0

  static let output = OutputWriter(STDOUT_FILENO)
  /// The same writer where both are the same file, so that lines keep their order.
  static let error = isOneFile ? output : OutputWriter(STDERR_FILENO)

  private static var isOneFile: Bool {
    var (first, second) = (stat(), stat())
    guard fstat(STDOUT_FILENO, &first) == 0, fstat(STDERR_FILENO, &second) == 0 else { return false }
    let canWrite = fcntl(STDERR_FILENO, F_GETFL) & O_ACCMODE != O_RDONLY
    return canWrite && first.st_dev == second.st_dev && first.st_ino == second.st_ino
  }

  /// Lets threads write from here on.
  static func detach() { for writer in [output, error] { writer.detach() } }

  /// Lets nothing wait for a reader, for commands whose work goes on for days.
  static func neverWait() { for writer in [output, error] { writer.neverWait() } }

  /// Lets nothing wait for a reader, as a signal asks the program to end.
  static func hurry() { for writer in [output, error] { writer.hurry() } }

  /// Waits until everything is written, for a short time if there is a reason to hurry.
  static func finish() { for writer in [output, error] { writer.finish(within: grace) } }
}
