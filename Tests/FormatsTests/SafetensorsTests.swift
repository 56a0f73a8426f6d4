import Compute
import Formats
import Foundation
import Support
import TestSupport
import Testing

@Suite struct SafetensorsTests {
  static let sample: [(name: String, tensor: HostTensor)] = [
    ("weight", HostTensor([1, -2.5, .infinity, .leastNonzeroMagnitude] as [Float], shape: [2, 2])),
    ("bytes", HostTensor([1, 2, 255] as [UInt8], shape: [3])),
    ("a \"quoted\" né\n", HostTensor([Int32.min, 7] as [Int32], shape: [1, 2])),
    ("double", HostTensor([0.1] as [Double], shape: [])),
    ("long", HostTensor(shape: [1], type: .int64, bytes: [UInt8](repeating: 255, count: 8))),
    ("none", HostTensor([] as [Float], shape: [0, 4])),
  ]

  @Test func whatIsWrittenIsRead() throws {
    let metadata = ["epoch": "3", "note": "línea\n\"x\"\u{1}"]
    let file = try withTemporaryFolder { folder in
      try Safetensors.write(Self.sample, metadata: metadata, to: folder + "/x")
      return try Safetensors.read(folder + "/x")
    }
    #expect(file.metadata == metadata)
    #expect(file.tensors == Dictionary(uniqueKeysWithValues: Self.sample.map { ($0.name, $0.tensor) }))
  }

  @Test func theBytesAreTheFormats() throws {
    let bytes = try withTemporaryFolder { folder in
      let tensors = [
        (name: "z", tensor: HostTensor([1] as [Float], shape: [1])), (name: "a", tensor: HostTensor([9] as [UInt8], shape: [])),
      ]
      try Safetensors.write(tensors, metadata: ["k2": "v", "k1": "w"], to: folder + "/x")
      return try Data(contentsOf: URL(fileURLWithPath: folder + "/x"))
    }
    let header =
      // The checksums are those of Python's zlib.crc32.
      #"{"__metadata__":{"k1":"w","k2":"v","resnet.crc32":"d50a0588 aca16a6a abde5729"},"#
      + #""z":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"#
      + #""a":{"dtype":"U8","shape":[],"data_offsets":[4,5]}}"#
    let padded = header + String(repeating: " ", count: (8 - header.utf8.count % 8) % 8)
    #expect(Array(bytes) == [UInt8(padded.utf8.count), 0, 0, 0, 0, 0, 0, 0] + Array(padded.utf8) + [0, 0, 0x80, 0x3F, 9])
    #expect(padded.utf8.count % 8 == 0)
  }

  @Test func noTensorsAndNoMetadata() throws {
    let file = try withTemporaryFolder { folder in
      try Safetensors.write([], metadata: [:], to: folder + "/x")
      return try Safetensors.read(folder + "/x")
    }
    #expect(file.tensors.isEmpty && file.metadata.isEmpty)
  }

  @Test func theReferenceImplementationsFile() throws {
    let path = try #require(Bundle.module.path(forResource: "Fixtures/python", ofType: "safetensors"))
    let file = try Safetensors.read(path)
    #expect(file.metadata == ["format": "pt", "note": "línea\nnueva"])
    let expected: [String: HostTensor] = [
      "float32": HostTensor([1.5, -2.25, 3e-8, .infinity, -0.0, 65504] as [Float], shape: [2, 3]),
      "float64": HostTensor([0.1, -1e300] as [Double], shape: [2]),
      "float16": HostTensor([1, -0.333251953125, 65504, 0x1p-24] as [Float], shape: [4]),
      "bfloat16": HostTensor([1, -2, 3.140625] as [Float], shape: [3]),
      "int32": HostTensor([Int32.min, Int32.max], shape: [2]),
      "int64": HostTensor(
        shape: [2, 1], type: .int64, bytes: [0, 0, 0, 0, 0, 0, 0, 128, 255, 255, 255, 255, 255, 255, 255, 127]),
      "uint8": HostTensor([0, 127, 255] as [UInt8], shape: [3]),
      "scalar": HostTensor([42] as [Float], shape: []),
      "empty": HostTensor([] as [Float], shape: [0, 3]),
      "naïve \"name\"": HostTensor([1] as [UInt8], shape: [1]),
    ]
    #expect(file.tensors == expected)
  }

  struct Malformed: CustomTestStringConvertible, Sendable {
    let header: String
    /// Number of bytes of data after the header.
    var data = 4
    /// Texts that the message must contain.
    let says: [String]
    var testDescription: String { says.joined(separator: " … ") + ": " + header.prefix(60) }
  }

  static func one(_ fields: String) -> String { #"{"w":{\#(fields)}}"# }
  static let big = "9223372036854775807"

  @Test(arguments: [
    Malformed(header: "", says: ["does not begin with '{'"]),
    Malformed(header: "[]", says: ["does not begin with '{'"]),
    Malformed(header: " {}", says: ["does not begin with '{'"]),
    Malformed(header: "{", says: ["not valid JSON", "ends early"]),
    Malformed(header: "{}x", says: ["not valid JSON", "more text after"]),
    Malformed(header: #"{"w":1}"#, says: [#"tensor "w""#, "not described by a JSON object"]),
    Malformed(header: one(#""shape":[1],"data_offsets":[0,4]"#), says: [#"tensor "w""#, "no dtype"]),
    Malformed(header: one(#""dtype":3,"shape":[1],"data_offsets":[0,4]"#), says: ["no dtype"]),
    Malformed(header: one(#""dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]"#), says: ["F8_E4M3", "BF16"]),
    Malformed(header: one(#""dtype":"F32","data_offsets":[0,4]"#), says: ["no shape"]),
    Malformed(header: one(#""dtype":"F32","shape":[1]"#), says: ["no data_offsets"]),
    Malformed(header: one(#""dtype":"F32","shape":[-1],"data_offsets":[0,4]"#), says: ["shape [-1]"]),
    Malformed(header: one(#""dtype":"F32","shape":[1.0],"data_offsets":[0,4]"#), says: ["shape [1.0]"]),
    Malformed(header: one(#""dtype":"F32","shape":["1"],"data_offsets":[0,4]"#), says: ["shape [\"1\"]"]),
    Malformed(header: one(#""dtype":"F32","shape":1,"data_offsets":[0,4]"#), says: ["shape 1"]),
    Malformed(header: one(#""dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1"#), says: ["unknown field \"x\""]),
    Malformed(header: one(#""dtype":"F32","shape":[1],"data_offsets":[0]"#), says: ["data_offsets [0]"]),
    Malformed(header: one(#""dtype":"F32","shape":[1],"data_offsets":[4,0]"#), says: ["data_offsets [4,0]"]),
    Malformed(header: one(#""dtype":"F32","shape":[1],"data_offsets":[-4,0]"#), says: ["data_offsets [-4,0]"]),
    Malformed(header: one(#""dtype":"F32","shape":[1],"data_offsets":[0,18446744073709551616]"#), says: ["data_offsets"]),
    Malformed(header: one(#""dtype":"F32","shape":[2],"data_offsets":[0,4]"#), says: ["shape [2] of F32 takes 8 bytes", "4"]),
    Malformed(header: one(#""dtype":"F32","shape":[2],"data_offsets":[0,8]"#), says: ["ends at byte 8", "only 4 bytes"]),
    Malformed(header: one(#""dtype":"F32","shape":[\#(big)],"data_offsets":[0,4]"#), says: ["shape", "too large"]),
    Malformed(header: one(#""dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,4]"#), says: ["too large"]),
    Malformed(header: one(#""dtype":"U8","shape":[0,\#(big),\#(big)],"data_offsets":[0,0]"#), says: ["too large"]),
    Malformed(header: one(#""dtype":"U8","shape":[\#(big)],"data_offsets":[0,\#(big)]"#), says: ["ends at byte \(big)"]),
    Malformed(header: one(#""dtype":"U8","shape":[2],"data_offsets":[0,2]"#), says: ["2 bytes follow the last tensor"]),
    Malformed(header: one(#""dtype":"U8","shape":[2],"data_offsets":[2,4]"#), says: ["begins at byte 2", "2 bytes before it"]),
    Malformed(header: "{}", says: ["4 bytes follow the last tensor"]),
    Malformed(
      header: #"{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}"#,
      says: [#"tensor "b""#, "within the tensor before it"]),
    Malformed(
      header: #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}"#,
      says: [#"tensor "b""#, "belong to none"]),
    Malformed(
      header: #"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#,
      says: [#"the name "a" is there twice"#]),
    Malformed(header: #"{"__metadata__":3}"#, data: 0, says: ["__metadata__ is not a JSON object"]),
    Malformed(header: #"{"__metadata__":{"k":3}}"#, data: 0, says: ["__metadata__", "not a string"]),
    Malformed(header: "{\"a\nb\":1}", says: ["control character"]),
    Malformed(header: #"{"a\nb":1}"#, says: [#"tensor "a\nb""#]),
    Malformed(header: #"{"w":"# + String(repeating: "[", count: 100_000), says: ["nested deeper"]),
  ])
  func malformedHeader(_ malformed: Malformed) throws {
    let length = (0..<8).map { UInt8(truncatingIfNeeded: malformed.header.utf8.count >> (8 * $0)) }
    try expectFailure(length + Array(malformed.header.utf8) + [UInt8](repeating: 1, count: malformed.data), says: malformed.says)
  }

  @Test(
    arguments: [
      ([], ["an empty file"]),
      ([2, 0, 0, 0, 0, 0, 0], ["7 bytes are too few"]),
      ([3, 0, 0, 0, 0, 0, 0, 0, 0x7B, 0x7D], ["header has 3 bytes", "only 2 follow", "truncated"]),
      ([1, 0, 0, 1, 0, 0, 0, 0, 0x7B, 0x7D], ["16777217 bytes is over 16777216"]),
      ([255, 255, 255, 255, 255, 255, 255, 255, 0x7B, 0x7D], ["18446744073709551615"]),
      ([5, 0, 0, 0, 0, 0, 0, 0, 0x7B, 0x22, 0xFF, 0x22, 0x7D], ["not valid JSON", "not UTF-8"]),
    ] as [([UInt8], [String])])
  func malformedFile(_ bytes: [UInt8], says: [String]) throws { try expectFailure(bytes, says: says) }

  private func expectFailure(_ bytes: [UInt8], says: [String]) throws {
    try withTemporaryFolder { folder in
      let path = folder + "/model.safetensors"
      try AtomicFile.write(bytes, to: path)
      let message = failureMessage { _ = try Safetensors.read(path) }
      #expect(message.hasPrefix(path + ": ") && !message.contains("\n") && message.utf8.count < path.utf8.count + 250)
      for part in says { #expect(message.contains(part)) }
    }
  }

  @Test func everyTruncationIsFound() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/x"
      try Safetensors.write(Self.sample, metadata: ["a": "b"], to: path)
      let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
      for count in bytes.indices {
        try AtomicFile.write(Array(bytes[..<count]), to: path)
        #expect(throws: Failure.self) { try Safetensors.read(path) }
      }
    }
  }

  /// Checks a sparse file that announces and has more bytes than any memory, yet takes no space on the disk.
  @Test func aSparseFileIsNotTakenIn() throws {
    try withTemporaryFolder { folder in
      let (path, byteCount) = (folder + "/x", 1 << 42)
      let header = Array("{\"w\":{\"dtype\":\"U8\",\"shape\":[\(byteCount)],\"data_offsets\":[0,\(byteCount)]}}".utf8)
      try AtomicFile.write((0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) } + header, to: path)
      #expect(truncate(path, byteCount + 8 + header.count) == 0)
      let message = failureMessage { _ = try Safetensors.read(path) }
      #expect(message.hasPrefix(path + ": its tensors take 4399 GB") && message.contains("of memory are left"), "\(message)")
    }
  }
}
