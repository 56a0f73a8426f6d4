/// Text of comma-separated values (RFC 4180).
package enum CSV {
  /// Returns a row with its line end. Fields with commas, quotes, line breaks or blanks at an end are quoted.
  package static func row(_ fields: [String]) -> String { fields.map(quoted).joined(separator: ",") + "\n" }

  private static func quoted(_ field: String) -> String {
    let isSpecial = field.unicodeScalars.contains { ",\"\r\n".unicodeScalars.contains($0) }
    guard isSpecial || field.first == " " || field.last == " " else { return field }
    return "\"" + field.replacing("\"", with: "\"\"") + "\""
  }
}
