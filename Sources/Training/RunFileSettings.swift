import Support

/// What a run writes while it trains, and how often. It changes neither weights nor figures.
///
/// ```swift
/// let session = try TrainingSession("resnet18", on: .folder("flowers"), folder: "runs/flowers") { run in
///   run.files = RunFileSettings(saveEvery: .steps(500))
/// }
/// ```
public struct RunFileSettings: Hashable, Codable, Sendable {
  /// Number of steps between two records of the loss, at least 1.
  public var logEvery: Int
  /// Steps or time between two saves of the state, in addition to those at the ends of epochs.
  public var saveEvery: SaveInterval
  /// Number of states that are kept, at least 1. The newest one that is whole is used.
  public var keepStates: Int

  public init(logEvery: Int = 10, saveEvery: SaveInterval = .seconds(600), keepStates: Int = 2) {
    (self.logEvery, self.saveEvery, self.keepStates) = (logEvery, saveEvery, keepStates)
  }

  /// Checks all values.
  /// - Throws: ``Failure`` for the first value that makes no sense.
  func validate() throws {
    try demand(logEvery > 0, .logEvery, logEvery, "at least one step is needed")
    try demand(keepStates > 0, .keepStates, keepStates, "at least one is needed")
    switch saveEvery {
    case .steps(let steps): try demand(steps > 0, .saveEvery, saveEvery, "at least one step is needed")
    case .seconds(let seconds): try demand(seconds > 0, .saveEvery, saveEvery, "at least a second is needed")
    case .never: break
    }
  }
}

/// Steps or time between two saves of a run's state. Its text is a number of steps, as `500`; seconds, minutes or hours, as `30s`,
/// `10m` and `2h`; or `never`.
public enum SaveInterval: Hashable, Sendable, LosslessStringConvertible {
  /// A number of steps since the run began of which each multiple is saved.
  case steps(Int)
  /// Seconds since the last save.
  case seconds(Int)
  /// Saves at the ends of epochs alone.
  case never

  private static let units = [("h", 3600), ("m", 60), ("s", 1)]

  /// Reads the text; nil for anything else, and for numbers that are too large.
  public init?(_ text: String) {
    if text == "never" {
      self = .never
    } else if let (unit, factor) = Self.units.first(where: { text.hasSuffix($0.0) }) {
      guard let count = Int(text.dropLast(unit.count)), count.magnitude <= 1_000_000_000 else { return nil }
      self = .seconds(count * factor)
    } else {
      guard let count = Int(text) else { return nil }
      self = .steps(count)
    }
  }

  public var description: String {
    switch self {
    case .steps(let steps): return "\(steps)"
    case .seconds(let seconds):
      let (unit, factor) = Self.units.first { seconds != 0 && seconds % $0.1 == 0 } ?? ("s", 1)
      return "\(seconds / factor)\(unit)"
    case .never: return "never"
    }
  }
}

extension SaveInterval: Codable {
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let value = Self(try container.decode(String.self)) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "neither steps nor a time")
    }
    self = value
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}
