/// Something a user can cause and mend: what went wrong, where, and what to do, in one line.
public struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String

  public init(_ description: String) { self.description = description }
}
