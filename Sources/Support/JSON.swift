/// JSON value (RFC 8259). Objects keep the order of their members, so that the written text is the same byte for byte.
public enum JSON: Sendable, Equatable {
  case null
  case boolean(Bool)
  /// A number without fraction and exponent that fits into `Int`.
  case integer(Int)
  case number(Double)
  case string(String)
  case array([JSON])
  case object([Member])

  /// Key of an object and its value.
  public struct Member: Sendable, Equatable {
    /// Key, unescaped.
    public let key: String
    /// Value of the key.
    public let value: JSON

    /// Creates a member of an object.
    public init(_ key: String, _ value: JSON) {
      self.key = key
      self.value = value
    }
  }

  /// Returns the value of an object's member; nil if there is no such member or if this is not an object.
  public subscript(key: String) -> JSON? {
    guard case .object(let members) = self else { return nil }
    return members.first { Name($0.key) == Name(key) }?.value
  }

  /// Values that are no objects, with the keys that lead to them. An array counts as one value.
  package var leaves: [(path: [String], value: JSON)] {
    guard case .object(let members) = self else { return [([], self)] }
    return members.flatMap { member in member.value.leaves.map { ([member.key] + $0.path, $0.value) } }
  }
}

extension JSON: CustomStringConvertible {
  /// Text of the value on one line, without spaces. A number that is not finite becomes `null`, as JSON cannot express it.
  public var description: String {
    var text = ""
    write(to: &text)
    return text
  }

  private func write(to text: inout String) {
    switch self {
    case .null: text += "null"
    case .boolean(let value): text += value ? "true" : "false"
    case .integer(let value): text += String(value)
    case .number(let value): text += value.isFinite ? "\(value)" : "null"
    case .string(let value): Self.write(value, to: &text)
    case .array(let values):
      text += "["
      for (index, value) in values.enumerated() {
        if index > 0 { text += "," }
        value.write(to: &text)
      }
      text += "]"
    case .object(let members):
      text += "{"
      for (index, member) in members.enumerated() {
        if index > 0 { text += "," }
        Self.write(member.key, to: &text)
        text += ":"
        member.value.write(to: &text)
      }
      text += "}"
    }
  }

  private static func write(_ string: String, to text: inout String) {
    text += "\""
    for scalar in string.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      case "\0"..<" ", "\u{7F}"..."\u{9F}", "\u{2028}"..."\u{2029}":
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }
}
