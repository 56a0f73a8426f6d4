/// An error that the user of the program can understand and mend: its kind, its subject, the problem, and the remedy.
///
/// Its text is one line, `subject: problem: remedy`. Settings stand in it as values, so that the command line calls them by its
/// options and a program by its properties:
///
/// ```swift
/// do { try session.train() } catch let failure as Failure where failure.kind == .outOfMemory {
///   print(failure.suggestions[.batchSize] ?? "no batch fits")
/// }
/// ```
public struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
  /// The class of a failure, for programs that react to it.
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    /// A setting has an impossible value.
    case invalidSetting
    /// A setting contradicts a file or another setting, or is needed to choose among several possibilities.
    case conflictingSetting
    /// A file, a folder, a tensor or a name is not there.
    case notFound
    /// A file is not of the format that is needed, or is cut off or inconsistent.
    case damagedFile
    /// A file or a request is sound, and needs something that is not supported.
    case unsupported
    /// Two sound things do not fit each other, for example weights and a network, or images and classes.
    case mismatch
    /// Memory of the host or of a device is used up.
    case outOfMemory
    /// The system refuses to read or write: permissions, a full disk, a broken device.
    case inputOutput
    /// A device, its driver or its compiler is missing or fails.
    case device
    /// Training has diverged: a loss or a weight is not a finite number.
    case diverged
    /// Another process holds what is needed.
    case busy
  }

  /// The class of the failure.
  public let kind: Kind
  /// The file, the data set or the device that failed; nil where the problem says it.
  public let subject: String?
  /// A sentence that says what is wrong.
  public let problem: Message
  /// A sentence that says what to do; nil where the problem leaves no choice.
  public let remedy: Message?
  /// Step of a run in which training diverged, counted from 1; nil for other failures.
  public let step: Int?

  /// - Parameters:
  ///   - subject: the file, the data set or the device that failed.
  ///   - remedy: what to do.
  ///   - step: step of a run in which training diverged.
  public init(
    _ kind: Kind, about subject: String? = nil, _ problem: Message, remedy: Message? = nil, step: Int? = nil
  ) {
    (self.kind, self.subject, self.problem, self.remedy, self.step) = (kind, subject, problem, remedy, step)
  }

  /// An impossible value of a setting.
  public init(_ setting: Setting, _ value: some CustomStringConvertible, _ problem: Message) {
    self.init(.invalidSetting, "\(setting, value): \(problem)")
  }

  /// The same failure of a larger thing, for example of the file that holds a damaged tensor.
  public func about(_ subject: String) -> Failure {
    Failure(kind, about: self.subject.map { "\(subject): \($0)" } ?? subject, problem, remedy: remedy, step: step)
  }

  /// The whole line.
  public var message: Message {
    var message = problem
    if let subject { message = "\(subject): \(message)" }
    if let remedy { message = "\(message): \(remedy)" }
    return message
  }

  /// Settings that the remedy names, each with the value that it suggests; nil for a setting that is to be changed or left out.
  public var suggestions: [Setting: String?] { remedy?.settings ?? [:] }

  /// The whole line, with settings called as in Swift.
  public var description: String { message.description }
}

/// A line of text for a person, in which settings stand as values.
///
/// ```swift
/// let message: Message = "use \(Setting.batchSize, 32)"
/// print(message)  // use batchSize 32
/// print(message.text { setting, value in "\(setting)=\(value ?? "")" })  // use batchSize=32
/// ```
public struct Message: Hashable, Sendable, CustomStringConvertible, ExpressibleByStringInterpolation {
  fileprivate enum Part: Hashable, Sendable {
    case text(String)
    case setting(Setting, value: String?)
  }

  private var parts: [Part]

  private init(parts: [Part]) { self.parts = parts }

  public init(stringLiteral text: String) { parts = [.text(text)] }

  public init(stringInterpolation interpolation: Interpolation) { parts = interpolation.parts }

  /// A text as it is.
  public init(_ text: String) { parts = [.text(text)] }

  /// The parts of a literal with interpolations.
  public struct Interpolation: StringInterpolationProtocol {
    fileprivate var parts: [Part] = []

    public init(literalCapacity: Int, interpolationCount: Int) {}

    public mutating func appendLiteral(_ text: String) { if !text.isEmpty { parts.append(.text(text)) } }

    /// Text of any value.
    public mutating func appendInterpolation(_ value: some Any) { appendLiteral("\(value)") }

    /// A setting's name.
    public mutating func appendInterpolation(_ setting: Setting) { parts.append(.setting(setting, value: nil)) }

    /// A setting with a value.
    public mutating func appendInterpolation(_ setting: Setting, _ value: some CustomStringConvertible) {
      parts.append(.setting(setting, value: "\(value)"))
    }

    /// Another message, whose settings stay values.
    public mutating func appendInterpolation(_ message: Message) { parts += message.parts }

    /// A failure's line, whose settings stay values.
    public mutating func appendInterpolation(_ failure: Failure) { parts += failure.message.parts }
  }

  public static func + (a: Message, b: Message) -> Message { Message(parts: a.parts + b.parts) }

  /// Settings that the text names, each with the last value that stands with it.
  public var settings: [Setting: String?] {
    var settings: [Setting: String?] = [:]
    for case .setting(let setting, let value) in parts { settings.updateValue(value, forKey: setting) }
    return settings
  }

  /// The text.
  /// - Parameter spelling: gives the name of a setting, with a value where there is one.
  public func text(_ spelling: (Setting, _ value: String?) -> String) -> String {
    parts.map { part in
      switch part {
      case .text(let text): text
      case .setting(let setting, let value): spelling(setting, value)
      }
    }.joined()
  }

  /// The text with settings called as in Swift, for example `batchSize 32`.
  public var description: String { text { setting, value in value.map { "\(setting.rawValue) \($0)" } ?? setting.rawValue } }
}
