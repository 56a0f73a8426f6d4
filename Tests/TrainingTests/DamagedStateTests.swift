import Checkpoints
import Compute
import Formats
import Foundation
import Models
import Support
import TestSupport
import Testing
import Training

/// Checks that damaged states are noticed, named and survived.
@Suite struct DamagedStateTests {
  private let runs: TinyRuns
  private let temporary: TemporaryFolder
  private let newest = "state-00000008.safetensors"

  /// Makes a run that was stopped at step 8 of 12.
  init() throws {
    temporary = try TemporaryFolder()
    runs = TinyRuns(in: temporary.path)
    #expect(try runs.trainer("whole").run() == .finished)
    let cut = try runs.trainer("cut")
    #expect(try cut.run(shouldStop: { cut.step >= 8 }) == .stopped)
  }

  private func expectEarlierState(_ reason: String) throws {
    do {
      let resumed = try runs.trainer("cut")
      #expect(resumed.step == 6 && resumed.notes.count == 1, "\(resumed.notes)")
      #expect(resumed.notes.first?.contains(newest) == true && resumed.notes.first?.contains(reason) == true, "\(resumed.notes)")
      #expect(resumed.notes.first?.hasSuffix("state-00000006.safetensors, of step 6") == true, "\(resumed.notes)")
      #expect(try resumed.run() == .finished)
    }
    #expect(try runs.contents("cut", "last.safetensors") == runs.contents("whole", "last.safetensors"))
    #expect(try runs.log("cut") == runs.log("whole"))
    // The damaged file is gone, and is not found again.
    #expect(try runs.states("cut") == ["state-00000006.safetensors", "state-00000012.safetensors"])
    #expect(try runs.trainer("cut").notes.isEmpty)
  }

  @Test func bytesOfATensor() throws {
    try runs.damage("cut", newest) { bytes in for index in bytes.count - 64..<bytes.count - 32 { bytes[index] ^= 0x40 } }
    try expectEarlierState("its checksum is wrong")
  }

  @Test func exchangedBlocks() throws {
    try runs.damage("cut", newest) { bytes in
      let begin = bytes.count - 8192
      for index in begin..<begin + 4096 { bytes.swapAt(index, index + 4096) }
    }
    try expectEarlierState("its checksum is wrong")
  }

  @Test func theHeader() throws {
    try runs.damage("cut", newest) { bytes in
      if let step = bytes.firstRange(of: Array("\\\"step\\\":8".utf8)) { bytes[step.upperBound - 1] = UInt8(ascii: "7") }
    }
    try expectEarlierState("the checksum of its header is wrong")
  }

  @Test func aTruncatedFile() throws {
    try runs.damage("cut", newest) { $0.removeLast($0.count / 2) }
    try expectEarlierState("truncated")
  }

  @Test func anEmptyFile() throws {
    try runs.damage("cut", newest) { $0 = [] }
    try expectEarlierState("an empty file")
  }

  @Test func zeros() throws {
    try runs.damage("cut", newest) { $0 = [UInt8](repeating: 0, count: $0.count) }
    try expectEarlierState(newest)
  }

  /// Writes the newest state anew, with correct checksums.
  private func rewrite(_ change: (inout [String: HostTensor], inout [String: String]) -> Void) throws {
    let file = try Safetensors.read(runs.path("cut", newest))
    var (tensors, metadata) = (file.tensors, file.metadata)
    change(&tensors, &metadata)
    try Safetensors.write(
      tensors.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }, metadata: metadata, to: runs.path("cut", newest))
  }

  @Test(arguments: [Float.nan, .infinity]) func numbersThatAreNotFinite(_ value: Float) throws {
    try rewrite { tensors, _ in tensors["velocity.fc.bias"] = HostTensor([value, 0, 0], shape: [3]) }
    try expectEarlierState("tensor 'velocity.fc.bias' has values that are not finite numbers")
  }

  @Test func negativeVariances() throws {
    try rewrite { tensors, _ in
      tensors["bn1.running_var"] = HostTensor([Float](repeating: -1, count: 16), shape: [16])
    }
    try expectEarlierState("negative variances")
  }

  @Test func theStateOfAnotherStep() throws {
    try FileManager.default.removeItem(atPath: runs.path("cut", newest))
    try FileManager.default.copyItem(
      atPath: runs.path("cut", "state-00000006.safetensors"), toPath: runs.path("cut", newest))
    try expectEarlierState("it does not say where the run stands")
  }

  @Test func aStateOfALaterVersionIsNotPassedOver() throws {
    try rewrite { $1["state"] = "2" }
    let failure = #expect(throws: Failure.self) { try runs.trainer("cut") }
    #expect(failure?.description.contains("a newer version of this program wrote it") == true)
  }

  @Test func ifNoneIsWholeTheWeightsAreLeft() throws {
    for state in try runs.states("cut") { try runs.damage("cut", state) { $0.removeLast() } }
    let failure = try #require(#expect(throws: Failure.self) { try runs.trainer("cut") })
    let text = failure.description
    for state in try runs.states("cut") { #expect(text.contains(state)) }
    #expect(text.contains("no state of the run is whole") && failure.suggestions.keys.contains(.initialWeights), "\(text)")
    #expect(text.hasSuffix("initialWeights \(runs.path("cut", "last.safetensors"))"), "\(text)")
  }

  /// Weights with a checksum that is wrong are refused, with the name of the tensor.
  @Test func weightsThatAreDamagedAreRefused() throws {
    try runs.damage("whole", "last.safetensors") { $0[$0.count - 5] ^= 1 }
    let failure = #expect(throws: Failure.self) { try Weights(contentsOf: runs.path("whole", "last.safetensors")) }
    #expect(
      failure?.description.contains("last.safetensors: tensor \"fc.bias\" is damaged") == true, "\(failure?.description ?? "")")
  }
}
