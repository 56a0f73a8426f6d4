import Support
import Testing

/// Returns the message of the ``Failure`` that `body` must throw. The message must be one line. If `body` throws none, an issue
/// is recorded, and the message is empty.
public func failureMessage(_ body: () throws -> Void, sourceLocation: SourceLocation = #_sourceLocation) -> String {
  let failure = #expect(throws: Failure.self, sourceLocation: sourceLocation, performing: body)
  let message = failure?.description ?? ""
  #expect(!message.contains("\n"), sourceLocation: sourceLocation)
  return message
}
