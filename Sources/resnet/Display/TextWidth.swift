/// Number of columns that a text takes on a terminal: 2 for each wide character of East Asian scripts and each emoji, 0 for
/// marks that stand on another character, and 1 for each other one.
///
/// Counts the larger number where terminals differ, as for emoji of several parts, so that a line never wraps.
package func columns(of text: String) -> Int { text.unicodeScalars.reduce(0) { $0 + columns(of: $1) } }

private func columns(of scalar: Unicode.Scalar) -> Int {
  if scalar.value < 0x300 { return 1 }
  // The variation selector of emoji makes the character before it wide.
  if scalar.value == 0xFE0F { return 1 }
  switch scalar.properties.generalCategory {
  case .nonspacingMark, .enclosingMark, .format: return 0
  default: return isWide(scalar) ? 2 : 1
  }
}

/// Whether a character takes two columns: emoji, and the blocks whose characters Unicode's table `EastAsianWidth` calls wide.
private func isWide(_ scalar: Unicode.Scalar) -> Bool {
  switch scalar.value {
  case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xA000...0xA4CF, 0xA960...0xA97F,
    0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x16FE0...0x18DFF, 0x1B000...0x1B2FF,
    0x1F200...0x1F2FF, 0x20000...0x3FFFD:
    true
  default: scalar.properties.isEmojiPresentation
  }
}

/// Shortens a text to a number of columns. Its end is left out.
package func cut(_ text: String, toColumns limit: Int) -> String {
  var (kept, width) = ("", 0)
  for character in text {
    width += columns(of: String(character))
    if width > limit { break }
    kept.append(character)
  }
  return kept
}
