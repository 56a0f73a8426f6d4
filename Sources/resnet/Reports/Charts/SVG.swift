import Foundation
import Support

/// Elements of SVG pictures as text.
enum SVG {
  /// Returns the beginning of a picture: its size in pixels, its title, its style sheet and its paper.
  /// - Parameter name: names of its classes.
  static func beginning(_ name: String, _ width: Double, _ height: Double, title: String, style: String) -> String {
    let (width, height) = (number(width), number(height))
    return [
      "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"\(name)\" viewBox=\"0 0 \(width) \(height)\" width=\"\(width)\" "
        + "height=\"\(height)\" role=\"img\">",
      "<title>\(escaped(title))</title>", "<style>\(style)</style>", "<rect class=\"paper\" width=\"100%\" height=\"100%\"/>",
    ].joined(separator: "\n")
  }

  static func line(_ name: String, _ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double) -> String {
    "<line class=\"\(name)\" x1=\"\(number(x1))\" y1=\"\(number(y1))\" x2=\"\(number(x2))\" y2=\"\(number(y2))\"/>"
  }

  static func label(_ words: String, _ name: String, _ x: Double, _ y: Double, anchor: String = "middle") -> String {
    "<text class=\"\(name)\" text-anchor=\"\(anchor)\" x=\"\(number(x))\" y=\"\(number(y))\">\(escaped(words))</text>"
  }

  /// Returns the commands of a path through the points; nil interrupts it.
  static func path(_ points: [(x: Double?, y: Double?)]) -> String {
    var (commands, isDrawing): ([String], Bool) = ([], false)
    for (x, y) in points {
      guard let x, let y else {
        isDrawing = false
        continue
      }
      commands.append("\(isDrawing ? "L" : "M")\(number(x)) \(number(y))")
      isDrawing = true
    }
    return commands.joined(separator: " ")
  }

  /// Returns a coordinate with at most one digit after the point.
  static func number(_ value: Double) -> String {
    let text = fixed(value, 1)
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
  }

  /// Returns a text for XML, in which some characters have names and others are impossible.
  static func escaped(_ text: String) -> String {
    var result = ""
    for scalar in printable(text).unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "\u{FFFE}", "\u{FFFF}": result += "\u{FFFD}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
