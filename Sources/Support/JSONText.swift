import Foundation

extension Encodable {
  /// Returns this value as JSON. Keys are sorted, so that equal values have equal texts. Dates follow ISO 8601.
  /// - Parameter indented: whether each member has a line of its own.
  /// - Throws: an `EncodingError`, for example for a number that is not finite.
  package func jsonText(indented: Bool = false) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    if indented { encoder.outputFormatting.insert(.prettyPrinted) }
    encoder.dateEncodingStrategy = .iso8601
    return String(decoding: try encoder.encode(self), as: UTF8.self)
  }
}
