import Compute
import Datasets
import Foundation
import Support
import TestSupport
import Testing

/// Checks that a message is one line and contains each part.
func expect(_ message: String, says parts: [String], sourceLocation: SourceLocation = #_sourceLocation) {
  #expect(!message.contains("\n"), sourceLocation: sourceLocation)
  for part in parts { #expect(message.contains(part), sourceLocation: sourceLocation) }
}

/// Damage that a test does to one of a data set's files.
enum Damage: Sendable {
  case none
  case replace([UInt8])
  case delete
  case folder
  /// Replaces the file by a symbolic link to this path.
  case link(String)
}

func apply(_ damage: Damage, to path: String) throws {
  if case .none = damage { return }
  try FileManager.default.removeItem(atPath: path)
  switch damage {
  case .none, .delete: break
  case .replace(let bytes): try write(bytes, to: path)
  case .folder: try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
  case .link(let target): try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: target)
  }
}

/// Makes a gzip file (RFC 1952) with one stored block, independently of the library that reads it.
func gzip(_ bytes: [UInt8]) -> [UInt8] {
  func little(_ value: Int, _ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }
  var checksum: UInt32 = ~0
  for byte in bytes {
    checksum ^= UInt32(byte)
    for _ in 0..<8 { checksum = checksum >> 1 ^ (checksum & 1 == 1 ? 0xEDB8_8320 : 0) }
  }
  return [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255, 1] + little(bytes.count, 2) + little(~bytes.count, 2) + bytes
    + little(Int(~checksum), 4) + little(bytes.count, 4)
}
