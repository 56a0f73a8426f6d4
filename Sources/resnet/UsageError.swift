import ArgumentParser
import Compute
import Formats
import Support

/// Turns a failure of a check of names and values into a usage error, for `validate()`.
func usage(_ check: () throws -> Void) throws {
  do { try check() } catch let failure as Failure { throw ValidationError(failure.line) }
}

/// Reports a usage error that only shows once the work has begun, and returns the exit code to throw.
func usageError(_ message: Message) -> ExitCode {
  printError("Error: \(message.line)")
  return .validationFailure
}

/// Refuses sizes outside the sensible range.
func requireSizes(_ sizes: KeyValuePairs<String, Int?>, in range: ClosedRange<Int>) throws {
  for case (let name, let value?) in sizes where !range.contains(value) {
    throw ValidationError("\(name) \(value): it must be from \(range.lowerBound) to \(range.upperBound)")
  }
}

/// Refuses to overwrite a file that is read.
/// - Throws: a usage error if the option's file is one of the others, even under another path.
func requireOther(_ option: String, _ output: String, than inputs: [String?]) throws {
  if inputs.contains(where: { input in input.map { InputFile.areSame($0, output) } ?? false }) {
    throw usageError("\(option) \(output) is a file that is read, which would be lost: give another")
  }
}

/// Refuses an empty path, which an unset variable in a script gives.
func requirePaths(_ paths: KeyValuePairs<String, String?>) throws {
  for case (let name, ""?) in paths { throw ValidationError("\(name) '': a path is needed") }
}
