import Foundation
import Support
import Testing

/// Runs `body` with a new empty folder that is removed afterwards.
func withTemporaryFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
  let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
  defer { try? FileManager.default.removeItem(at: folder) }
  return try body(folder.path)
}

/// Returns the message of the ``Failure`` that `body` must throw.
func failureMessage(_ body: () throws -> Void) -> String? { #expect(throws: Failure.self, performing: body)?.description }
