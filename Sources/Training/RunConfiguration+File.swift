import Foundation
import Support

/// Reading of `config.json`.
extension RunConfiguration {
  /// The part of `config.json` that tells its form.
  private struct Header: Decodable {
    /// nil in version 1.
    let version: Int?

    enum CodingKeys: CodingKey { case version }
  }

  /// Reads the contents of a `config.json` of this version or an earlier one.
  /// - Parameter path: path of the file, for messages.
  /// - Throws: ``Failure`` if the file is damaged, was written by a later version, or has impossible values.
  init(json: Data, path: String) throws {
    let decoder = JSONDecoder()
    do {
      let version = try decoder.decode(Header.self, from: json).version ?? 1
      guard version > 0 else {
        throw DecodingError.dataCorrupted(.init(codingPath: [Header.CodingKeys.version], debugDescription: "no such version"))
      }
      guard version <= Self.currentVersion else {
        throw Failure(
          .unsupported, about: path,
          "a newer version of this program wrote it: its form is \(version), and the newest that is known here is "
            + "\(Self.currentVersion)",
          remedy: "go on with that version of the program, or begin a new run")
      }
      self =
        version == 1
        ? try RunConfiguration(decoder.decode(Version1.self, from: json)) : try decoder.decode(Self.self, from: json)
    } catch let error as DecodingError {
      throw Failure(.damagedFile, "\(path) is damaged\(Self.place(of: error))", remedy: "mend it, or begin a new run")
    }
    do { try validate() } catch let failure as Failure { throw failure.about(path) }
  }

  /// Returns the place that a decoder complained about, for example `, at 'model.classes'`.
  private static func place(of error: DecodingError) -> String {
    func at(_ path: [any CodingKey]) -> String {
      path.isEmpty ? ", it is no JSON" : ", at '\(path.map(\.stringValue).joined(separator: "."))'"
    }
    return switch error {
    case .keyNotFound(let key, let context): at(context.codingPath + [key])
    case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context): at(context.codingPath)
    default: ""
    }
  }

  /// The contents for `config.json`.
  /// - Throws: never for a valid configuration.
  package func json() throws -> String { try jsonText(indented: true) + "\n" }
}
