// Feeds a parser with inputs that libFuzzer makes, and changes them toward those that reach new code: Scripts/fuzz.
// RESNET_FUZZ names the parser. The arguments are those of libFuzzer.
import Foundation
import FuzzParsers

guard let parser = FuzzParser(rawValue: ProcessInfo.processInfo.environment["RESNET_FUZZ"] ?? "") else {
  fatalError("RESNET_FUZZ must name one of: \(FuzzParser.allCases.map(\.rawValue).joined(separator: ", "))")
}

@_silgen_name("LLVMFuzzerRunDriver")
func runFuzzer(
  _ count: UnsafeMutablePointer<Int32>, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
  _ test: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
) -> Int32

var count = CommandLine.argc
var arguments = CommandLine.unsafeArgv
exit(
  runFuzzer(&count, &arguments) { bytes, size in
    do { _ = try parser.reads(Array(UnsafeBufferPointer(start: bytes, count: size))) } catch { fatalError("\(error)") }
    return 0
  })
