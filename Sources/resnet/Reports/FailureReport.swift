import ArgumentParser
import Support

/// Reports images that cannot be decoded on standard error, as they are left out, and counts them.
final class LeftOutImages {
  private(set) var count = 0

  func add(_ failure: Failure) {
    count += 1
    printError("left out: \(failure.line)")
  }

  /// Reports the number of these images, if there were any.
  func finish() { if count > 0 { printError("images that could not be decoded and were left out: \(grouped(count))") } }
}

/// Reports failures that do not end the work on standard error, for example images that cannot be decoded among others, and
/// counts them.
final class FailureReport {
  private(set) var count = 0

  func add(_ failure: Failure) {
    count += 1
    printError("Error: \(failure.line)")
  }

  /// Ends the program with an exit code of failure, if there were any.
  /// - Throws: the exit code.
  func finish() throws { if count > 0 { throw ExitCode.failure } }
}
