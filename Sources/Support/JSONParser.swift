extension JSON {
  /// Parses one JSON text in UTF-8, strictly by RFC 8259. An object that names a member twice is refused.
  /// - Throws: a ``Failure`` that gives the byte offset and the reason.
  public init(parsing bytes: [UInt8]) throws {
    var parser = JSONParser(bytes: bytes)
    self = try parser.value(depth: 0)
    parser.skipSpace()
    guard parser.position == bytes.count else { throw parser.failure("more text after the value") }
  }

  /// Parses one JSON text.
  /// - Throws: a ``Failure`` that gives the byte offset and the reason.
  public init(parsing text: String) throws { try self.init(parsing: Array(text.utf8)) }
}

/// Recursive-descent parser. Its depth is bounded, so that no input exhausts the stack.
private struct JSONParser {
  let bytes: [UInt8]
  var position = 0
  static let maximumDepth = 64
  /// Characters that may follow a backslash, each with the character that the escape stands for.
  static let escapes: [UInt8: UInt8] = [
    0x22: 0x22, 0x5C: 0x5C, 0x2F: 0x2F, 0x62: 0x08, 0x66: 0x0C, 0x6E: 0x0A, 0x72: 0x0D, 0x74: 0x09,
  ]

  init(bytes: [UInt8]) { self.bytes = bytes }

  func failure(_ reason: Message, _ kind: Failure.Kind = .damagedFile) -> Failure {
    Failure(kind, "byte \(position): \(reason)")
  }

  var current: UInt8? { position < bytes.count ? bytes[position] : nil }

  mutating func skipSpace() {
    while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
  }

  mutating func skip(_ character: Unicode.Scalar) -> Bool {
    guard current == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  mutating func expect(_ character: Unicode.Scalar) throws {
    guard skip(character) else { throw failure(current == nil ? "the text ends early" : "'\(character)' expected") }
  }

  mutating func value(depth: Int) throws -> JSON {
    guard depth <= Self.maximumDepth else { throw failure("nested deeper than \(Self.maximumDepth) levels", .unsupported) }
    skipSpace()
    switch current {
    case UInt8(ascii: "{"): return try object(depth: depth)
    case UInt8(ascii: "["): return try array(depth: depth)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .boolean(true))
    case UInt8(ascii: "f"): return try word("false", .boolean(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    case nil: throw failure("the text ends early")
    default: return try number()
    }
  }

  mutating func word(_ word: String, _ value: JSON) throws -> JSON {
    for scalar in word.unicodeScalars { try expect(scalar) }
    return value
  }

  mutating func object(depth: Int) throws -> JSON {
    try expect("{")
    skipSpace()
    if skip("}") { return .object([]) }
    var members: [JSON.Member] = []
    var keys: Set<Name> = []
    repeat {
      skipSpace()
      let key = try string()
      guard keys.insert(Name(key)).inserted else { throw failure("the name \(JSON.string(key).shortened) is there twice") }
      skipSpace()
      try expect(":")
      members.append(JSON.Member(key, try value(depth: depth + 1)))
      skipSpace()
    } while skip(",")
    try expect("}")
    return .object(members)
  }

  mutating func array(depth: Int) throws -> JSON {
    try expect("[")
    skipSpace()
    if skip("]") { return .array([]) }
    var values: [JSON] = []
    repeat {
      values.append(try value(depth: depth + 1))
      skipSpace()
    } while skip(",")
    try expect("]")
    return .array(values)
  }

  /// Grammar: number = [ "-" ] ( "0" | digit1-9 digits ) [ "." digits ] [ ( "e" | "E" ) [ "+" | "-" ] digits ]
  mutating func number() throws -> JSON {
    let start = position
    _ = skip("-")
    if !skip("0") { try digits("a value") }
    let integerEnd = position
    if skip(".") { try digits("a digit") }
    if skip("e") || skip("E") {
      if !skip("+") { _ = skip("-") }
      try digits("a digit")
    }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    if position == integerEnd, let integer = Int(text) { return .integer(integer) }
    guard let number = Double(text), number.isFinite else { throw failure("the number is out of range", .unsupported) }
    return .number(number)
  }

  mutating func digits(_ wanted: String) throws {
    let start = position
    while let byte = current, byte >= 0x30 && byte <= 0x39 { position += 1 }
    guard position > start else { throw failure("\(wanted) expected") }
  }

  mutating func string() throws -> String {
    try expect("\"")
    var text: [UInt8] = []
    while true {
      guard let byte = current else { throw failure("the text ends within a string") }
      if byte < 0x20 { throw failure("a control character within a string") }
      position += 1
      if byte == UInt8(ascii: "\"") { break }
      if byte == UInt8(ascii: "\\") { try escape(into: &text) } else { text.append(byte) }
    }
    guard let string = String(validating: text, as: UTF8.self) else { throw failure("a string that is not UTF-8") }
    return string
  }

  mutating func escape(into text: inout [UInt8]) throws {
    guard let byte = current else { throw failure("the text ends within a string") }
    if let character = Self.escapes[byte] {
      position += 1
      text.append(character)
      return
    }
    guard skip("u") else { throw failure("an unknown escape") }
    var code = try hexadecimal()
    if code & 0xFC00 == 0xD800 {
      guard skip("\\"), skip("u") else { throw failure("half a surrogate pair") }
      let low = try hexadecimal()
      guard low & 0xFC00 == 0xDC00 else { throw failure("half a surrogate pair") }
      code = 0x10000 + (code & 0x3FF) << 10 + low & 0x3FF
    }
    guard let scalar = Unicode.Scalar(code) else { throw failure("half a surrogate pair") }
    text.append(contentsOf: Array(String(scalar).utf8))
  }

  /// Reads four hexadecimal digits.
  mutating func hexadecimal() throws -> UInt32 {
    var code: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = current, let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
        throw failure("four hexadecimal digits expected")
      }
      code = code << 4 | UInt32(digit)
      position += 1
    }
    return code
  }
}

extension JSON {
  /// Text of the value for a message: on one line, control characters escaped, at most 80 characters.
  package var shortened: String {
    let text = description
    return text.count <= 80 ? text : text.prefix(79) + "…"
  }
}
