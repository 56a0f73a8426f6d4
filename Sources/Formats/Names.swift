/// A text without what would end the line or change the terminal: control characters escaped.
package func printable(_ text: String) -> String {
  func isControl(_ scalar: Unicode.Scalar) -> Bool { scalar.properties.generalCategory == .control }
  guard text.unicodeScalars.contains(where: isControl) else { return text }
  return text.unicodeScalars.map { isControl($0) ? $0.escaped(asASCII: true) : String($0) }.joined()
}

/// A name from a file for a message: printable, at most 60 characters.
package func shortened(_ name: String) -> String {
  let text = printable(name)
  return text.count <= 60 ? text : text.prefix(59) + "…"
}
