import ArgumentParser
import Compute
import Formats

/// Turns what a check of names and values throws into a usage error, for `validate()`.
func usage(_ check: () throws -> Void) throws {
  do { try check() } catch let failure as Failure { throw ValidationError(failure.description) }
}

/// A usage error that only shows once the work has begun: says it, and gives the exit code to throw.
func usageError(_ message: String) -> ExitCode {
  printError("Error: \(message)")
  return .validationFailure
}

/// Refuses sizes of which nothing sensible can come.
func requireSizes(_ sizes: KeyValuePairs<String, Int?>, in range: ClosedRange<Int>) throws {
  for case (let name, let value?) in sizes where !range.contains(value) {
    throw ValidationError("\(name) \(value): it must be from \(range.lowerBound) to \(range.upperBound)")
  }
}

/// Refuses to write over what is read.
/// - Throws: a usage error where the option's file is one of the others, under whatever path.
func requireOther(_ option: String, _ output: String, than inputs: [String?]) throws {
  if inputs.contains(where: { input in input.map { InputFile.areSame($0, output) } ?? false }) {
    throw usageError("\(option) \(output) is a file that is read, which would be lost: give another")
  }
}

/// Refuses an empty path, which an unset variable of a script gives.
func requirePaths(_ paths: KeyValuePairs<String, String?>) throws {
  for case (let name, ""?) in paths { throw ValidationError("\(name) '': a path is needed") }
}
