import Foundation
import Support

/// One session of a run: the time from its start, or from a resumption, to its end.
///
/// ```swift
/// for session in try RunFolder(existing: "runs/flowers").sessions() {
///   print(session.started, session.device, session.elapsedSeconds ?? 0)
/// }
/// ```
public struct RunSession: Hashable, Codable, Sendable {
  /// Version of the program.
  public var version: String
  /// The program and its arguments.
  public var command: [String]
  /// Names of the devices.
  public var device: String
  /// Versions of the devices' drivers; nil for the CPU reference.
  public var driver: String?
  /// Name of the machine.
  public var host: String
  /// Time of the start.
  public var started: Date
  /// Seconds from the start to the end; nil while the session goes on, and if it was killed.
  public var elapsedSeconds: Double?

  /// Name of this machine.
  package static var hostName: String {
    var name = utsname()
    uname(&name)
    return withUnsafeBytes(of: &name.nodename) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }

  /// A session that begins now, on this machine.
  package init(version: String, command: [String], device: String, driver: String?) {
    (self.version, self.command, self.device, self.driver) = (version, command, device, driver)
    host = Self.hostName
    // Whole seconds, as the file keeps them.
    started = Date(timeIntervalSince1970: Date().timeIntervalSince1970.rounded(.down))
  }
}

/// The sessions of a run, in its file `sessions.json`.
extension RunFolder {
  /// Path of the run's sessions, an array of ``RunSession`` as JSON.
  public var sessionsPath: String { "\(path)/sessions.json" }

  /// Reads the sessions of the run, the first one first. Runs from before they were kept have none.
  /// - Throws: ``Failure`` if the file is damaged.
  public func sessions() throws -> [RunSession] {
    guard InputFile.exists(sessionsPath) else { return [] }
    let decoder = JSONDecoder()
    decoder.dateDecodingStrategy = .iso8601
    do { return try decoder.decode([RunSession].self, from: Data(try InputFile(sessionsPath).read())) } catch is DecodingError {
      throw Failure(.damagedFile, about: sessionsPath, "it is damaged", remedy: "mend it, or remove it")
    }
  }

  /// Writes the sessions of the run.
  /// - Throws: ``Failure`` if the file cannot be written.
  package func write(_ sessions: [RunSession]) throws {
    try AtomicFile.write(try sessions.jsonText(indented: true) + "\n", to: sessionsPath)
  }
}
