import COpenCL

/// Signature that all of OpenCL's query functions share once their object is bound: (parameter, size, value, returned size).
typealias InfoQuery = (UInt32, Int, UnsafeMutableRawPointer?, UnsafeMutablePointer<Int>?) -> cl_int

enum Info {
  /// Returns a value of fixed size.
  static func value<Value: BitwiseCopyable>(
    _ call: String, _ parameter: Int32, initial: Value, _ query: InfoQuery
  ) throws(OpenCLError) -> Value {
    var value = initial
    let code = withUnsafeMutableBytes(of: &value) { query(UInt32(bitPattern: parameter), $0.count, $0.baseAddress, nil) }
    try OpenCLError.check(code, call)
    return value
  }

  /// Returns bytes whose number only the driver knows.
  static func bytes(_ call: String, _ parameter: Int32, _ query: InfoQuery) throws(OpenCLError) -> [UInt8] {
    var size = 0
    try OpenCLError.check(query(UInt32(bitPattern: parameter), 0, nil, &size), call)
    var bytes = [UInt8](repeating: 0, count: size)
    let code = bytes.withUnsafeMutableBytes { query(UInt32(bitPattern: parameter), size, $0.baseAddress, nil) }
    try OpenCLError.check(code, call)
    return bytes
  }

  /// Returns a C string without its terminating zero and without surrounding blanks.
  static func string(_ call: String, _ parameter: Int32, _ query: InfoQuery) throws(OpenCLError) -> String {
    let text = try bytes(call, parameter, query).prefix { $0 != 0 }
    let blank = { (byte: UInt8) in byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\n") }
    return String(decoding: text.drop(while: blank).reversed().drop(while: blank).reversed(), as: UTF8.self)
  }
}
