import Formats
import Support
import TestSupport
import Testing

@Suite struct JSONTests {
  @Test(
    arguments: [
      ("null", .null), (" true\n", .boolean(true)), ("false", .boolean(false)), ("-0", .integer(0)), ("12", .integer(12)),
      ("-9223372036854775808", .integer(.min)), ("9223372036854775808", .number(0x1p63)), ("1.5e-3", .number(0.0015)),
      ("1E+2", .number(100)), ("0.0", .number(0)), ("[]", .array([])),
      ("[1, [2]]", .array([.integer(1), .array([.integer(2)])])),
      ("{}", .object([])), (#"{"b":1, "a":2}"#, .object([.init("b", .integer(1)), .init("a", .integer(2))])),
      (#""a\"\\\/\b\f\n\r\t""#, .string("a\"\\/\u{8}\u{C}\n\r\t")), (#""\u00e9\uD83D\uDE00é😀""#, .string("é😀é😀")),
      (#""\u0000""#, .string("\0")),
    ] as [(String, JSON)])
  func reads(_ text: String, _ value: JSON) throws { #expect(try JSON(parsing: text) == value) }

  @Test(arguments: [
    ("", "byte 0: the text ends early"), ("  ", "byte 2: the text ends early"), ("tru", "ends early"), ("trux", "'e' expected"),
    ("nul1", "'l' expected"), ("+1", "a value expected"), ("01", "more text"), ("1.", "a digit expected"), (".5", "a value"),
    ("1e", "a digit expected"), ("-", "a value expected"), ("NaN", "a value expected"), ("1e999", "out of range"),
    ("[1,]", "a value expected"), ("[1", "ends early"), ("[1 2]", "']' expected"), ("{1:2}", "'\"' expected"),
    (#"{"a" 1}"#, "':' expected"), (#"{"a":1,}"#, "'\"' expected"), (#"{"a":1,"a":2}"#, #"the name "a" is there twice"#),
    (#"{"a":1"#, "ends early"), ("\"a", "within a string"), ("\"\\", "within a string"), (#""\x""#, "an unknown escape"),
    (#""\u12""#, "hexadecimal"), (#""\u12٣4""#, "hexadecimal"), (#""\uD800""#, "half a surrogate"),
    (#""\uDC00""#, "half a surrogate"), (#""\uD800\u0041""#, "half a surrogate"), ("\"\t\"", "control character"),
    ("{} {}", "more text"),
  ])
  func refuses(_ text: String, says: String) throws {
    let message = failureMessage { _ = try JSON(parsing: text) }
    #expect(message.hasPrefix("byte ") && message.contains(says))
  }

  @Test func refusesDeepNesting() {
    let message = failureMessage { _ = try JSON(parsing: String(repeating: "[", count: 1_000_000)) }
    #expect(message.contains("nested deeper than 64"))
  }

  @Test func refusesWhatIsNotUTF8() {
    #expect(throws: Failure.self) { try JSON(parsing: [0x22, 0xC3, 0x22]) }
    #expect(throws: Failure.self) { try JSON(parsing: [0x22, 0xED, 0xA0, 0x80, 0x22]) }
  }

  @Test func writesOneLineInOrder() throws {
    let value = JSON.object([
      .init("z", .array([.integer(-1), .number(0.1), .number(1e300), .number(2), .number(.nan), .number(.infinity)])),
      .init("a\u{2028}\n\u{7F}", .object([.init("", .null), .init("t", .boolean(true)), .init("f", .boolean(false))])),
      .init("s", .string("\"\\\r\t\u{1}é")),
    ])
    let text = #"{"z":[-1,0.1,1e+300,2.0,null,null],"a\u2028\n\u007f":{"":null,"t":true,"f":false},"s":"\"\\\r\t\u0001é"}"#
    #expect(value.description == text)
    #expect(try JSON(parsing: text).description == text)
    #expect(value["s"] == .string("\"\\\r\t\u{1}é") && value["none"] == nil && JSON.null["s"] == nil)
  }
}
