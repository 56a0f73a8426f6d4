import Compute
import Support

/// Results of the tuner on one device, keyed by the work's description.
public struct TuningTable: Sendable, Equatable {
  public struct Entry: Sendable, Equatable {
    /// Choice for this work; nil if nothing was faster than the built-in choice.
    public var choice: ConvolutionChoice?
    /// Seconds that the built-in and the chosen way took.
    public var builtInSeconds, seconds: Double
    /// Whether all candidates were tried; false if the time was up before.
    public var isComplete: Bool

    public init(choice: ConvolutionChoice?, builtInSeconds: Double, seconds: Double, isComplete: Bool) {
      (self.choice, self.builtInSeconds, self.seconds, self.isComplete) = (choice, builtInSeconds, seconds, isComplete)
    }
  }

  public private(set) var entries: [String: Entry] = [:]

  public init() {}

  public subscript(work: ConvolutionWork, math: MathMode = .exact) -> Entry? {
    get { entries[Self.key(work, math)] }
    set { entries[Self.key(work, math)] = newValue }
  }

  private static func key(_ work: ConvolutionWork, _ math: MathMode) -> String {
    math == .exact ? work.description : "\(work), \(math)"
  }

  /// Adds the entries of another table, which replace entries for the same work.
  public mutating func merge(_ other: TuningTable) { entries.merge(other.entries) { $1 } }

  package var json: JSON {
    .array(
      entries.sorted { $0.key < $1.key }.map { work, entry in
        .object([
          .init("work", .string(work)), .init("choice", entry.choice.map { .string($0.description) } ?? .null),
          .init("built_in_seconds", .number(entry.builtInSeconds)), .init("seconds", .number(entry.seconds)),
          .init("complete", .boolean(entry.isComplete)),
        ])
      })
  }

  /// - Throws: a ``Failure`` if the value does not have the form of ``json``.
  package init(_ json: JSON) throws {
    guard case .array(let values) = json else { throw Failure(.damagedFile, "there is no list of choices") }
    for value in values {
      guard case .string(let work)? = value["work"], let builtIn = value["built_in_seconds"]?.seconds,
        let seconds = value["seconds"]?.seconds, case .boolean(let isComplete)? = value["complete"]
      else { throw Failure(.damagedFile, "\(value) is no choice") }
      var choice: ConvolutionChoice?
      if case .string(let text)? = value["choice"] {
        choice = ConvolutionChoice(text)
        if choice == nil { throw Failure(.damagedFile, "'\(text)' is no choice") }
      }
      entries[work] = Entry(choice: choice, builtInSeconds: builtIn, seconds: seconds, isComplete: isComplete)
    }
  }
}

extension JSON {
  fileprivate var seconds: Double? {
    switch self {
    case .number(let value): value
    case .integer(let value): Double(value)
    default: nil
    }
  }
}
