// Feeds a parser with inputs that libFuzzer makes, and changes them toward those that reach new code: Scripts/fuzz.
// RESNET_FUZZ names the parser. The arguments are those of libFuzzer, which has the program's `main`.
import Foundation
import FuzzParsers

private let parser: FuzzParser = {
  guard let parser = FuzzParser(rawValue: ProcessInfo.processInfo.environment["RESNET_FUZZ"] ?? "") else {
    fatalError("RESNET_FUZZ must name one of: \(FuzzParser.allCases.map(\.rawValue).joined(separator: ", "))")
  }
  return parser
}()

/// Reads one input. Errors that are no ``Failure`` end the process, and libFuzzer keeps the input.
@_cdecl("LLVMFuzzerTestOneInput")
public func readInput(_ bytes: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  do { _ = try parser.reads(Array(UnsafeBufferPointer(start: bytes, count: size))) } catch { fatalError("\(error)") }
  return 0
}
