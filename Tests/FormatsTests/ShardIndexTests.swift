import Compute
import Formats
import Support
import TestSupport
import Testing

/// Tests weights that are spread over several files.
@Suite struct ShardIndexTests {
  private static let first = HostTensor([1, 2] as [Float], shape: [2])
  private static let second = HostTensor([3, 4, 5] as [Float], shape: [3])

  private func withShards<Result>(_ index: String, _ body: (String) throws -> Result) throws -> Result {
    try withTemporaryFolder { folder in
      try Safetensors.write([("a", Self.first), ("unused", Self.second)], metadata: [:], to: folder + "/1.safetensors")
      try Safetensors.write([("b", Self.second)], metadata: [:], to: folder + "/2.safetensors")
      try AtomicFile.write(TorchFile(Pickled.checkpoint(Pickled.tensor())).bytes, to: folder + "/3.bin")
      let path = folder + "/model.safetensors.index.json"
      try AtomicFile.write(Array(index.utf8), to: path)
      return try body(path)
    }
  }

  @Test func tensorsOfAllFilesAreRead() throws {
    let index = #"{"metadata":{"total_size":1},"weight_map":{"b":"2.safetensors","a":"1.safetensors","w":"3.bin"}}"#
    let tensors = try withShards(index) { try WeightsFile($0).read(0) }
    #expect(tensors == ["a": Self.first, "b": Self.second, "w": HostTensor(TorchFile.elements, shape: [2, 3])])
    #expect(try withShards(index) { try WeightsFile($0).read(0) { $0 == "b" } } == ["b": Self.second])
  }

  @Test(arguments: [
    (#"{"a":1}"#, "no weight_map"), (#"{"weight_map":[]}"#, "no weight_map"), ("{", "not valid JSON"),
    (#"{"weight_map":{"a":3}}"#, "names no file beside it"),
    (#"{"weight_map":{"a":"../1.safetensors"}}"#, "names no file beside it"),
    (#"{"weight_map":{"a":"/etc/passwd"}}"#, "names no file beside it"),
    (#"{"weight_map":{"a":".."}}"#, "names no file beside it"),
    (#"{"weight_map":{"a":""}}"#, "names no file beside it"),
    (#"{"weight_map":{"a":"4.safetensors"}}"#, "4.safetensors: No such file"),
    (#"{"weight_map":{"c":"1.safetensors"}}"#, #"tensor "c" is not in"#),
    (#"{"weight_map":{"a":"model.safetensors.index.json"}}"#, "a JSON text"),
  ])
  func whatDoesNotFitIsNamed(index: String, says: String) throws {
    try withShards(index) { path in
      let message = failureMessage { _ = try WeightsFile(path).read(0) }
      #expect(message.contains(says) && !message.contains("\n"), "\(message)")
    }
  }
}
