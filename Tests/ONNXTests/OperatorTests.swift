import CPUBackend
import Compute
import Formats
import Foundation
import ONNX
import OpenCLBackend
import Support
import TestSupport
import Testing

/// Runs ONNX's own tests of the operators that have small tensors. `Scripts/onnx-operator-tests --fixture` writes these,
/// and runs all tests.
@Suite struct OperatorTests {
  private static func tests() throws -> [String: [String: HostTensor]] {
    let url = try #require(
      Bundle.module.url(forResource: "operator-tests", withExtension: "safetensors", subdirectory: "Fixtures"))
    var tests: [String: [String: HostTensor]] = [:]
    for (key, tensor) in try Safetensors.read(url.path).tensors {
      let parts = key.split(separator: "/", maxSplits: 1).map(String.init)
      tests[parts[0], default: [:]][parts[1]] = tensor
    }
    return tests
  }

  @Test func resultsAreThoseOfTheStandard() throws {
    let backends: [any Backend] = [CPUBackend(), try OpenCLBackend(device: DeviceList.find("opencl").device)]
    let tests = try Self.tests()
    #expect(tests.count > 100)
    try withTemporaryFolder { folder in
      for (name, tensors) in tests.sorted(by: { $0.key < $1.key }) {
        let path = "\(folder)/\(name)"
        try AtomicFile.write(try #require(tensors["model"]).bytes, to: path)
        let model = try ONNXModel(contentsOf: path)
        let inputs = tensors.filter { $0.key.hasPrefix("in:") }.map { (String($0.key.dropFirst(3)), $0.value) }
        for backend in backends {
          let outputs = try model.run(Dictionary(uniqueKeysWithValues: inputs), on: backend)
          #expect(!outputs.isEmpty)
          for (output, found) in outputs {
            let expected = try #require(tensors["out:\(output)"])
            #expect(found.shape == expected.shape, "\(name) on \(backend.name)")
            let isRight = zip(found.doubles, expected.doubles).allSatisfy {
              $0 == $1 || ($0.isNaN && $1.isNaN) || abs($0 - $1) <= 1e-7 + 1e-3 * abs($1)
            }
            #expect(isRight, "\(name) on \(backend.name): \(found.doubles) instead of \(expected.doubles)")
          }
        }
      }
    }
  }
}
