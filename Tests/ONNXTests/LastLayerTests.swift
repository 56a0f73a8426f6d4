import CPUBackend
import Compute
import Foundation
import ONNX
import Support
import TestSupport
import Testing

/// Tests models without their last fully connected layer.
@Suite struct LastLayerTests {
  private static let pooled = TestModel().input("x", [-1, 2, 3, 3]).floats("w", [1, 2, 3, 4, 5, 6], [3, 2])
    .floats("u", [1, 2, 3, 4, 5, 6], [2, 3]).floats("b", [7, 8, 9], [3])
    .node("GlobalAveragePool", ["x"], "p").node("Flatten", ["p"], "f")

  private static let gemm = pooled.node("Gemm", ["f", "w", "b"], "y", ["transB": .int(1)])

  static let known: [TestModel] = [
    gemm.output("y"),
    pooled.node("Gemm", ["f", "u"], "z").node("Softmax", ["z"], "y").output("y"),
    pooled.node("MatMul", ["f", "u"], "y").output("y"),
    pooled.node("MatMul", ["f", "u"], "m").node("Add", ["b", "m"], "z").node("Softmax", ["z"], "y").output("y"),
  ]

  @Test(arguments: known) func featuresStandBeforeTheLastLayer(_ model: TestModel) throws {
    let x = HostTensor((0..<36).map { Float($0 * 7 % 11) }, shape: [2, 2, 3, 3])
    let features = try #require(try model.model().withoutLastLayer().run(["x": x], on: CPUBackend()).first?.tensor)
    // Each feature is the mean of nine pixels.
    let (pixels, found) = (x.doubles, features.doubles)
    #expect(features.shape == [2, 2])
    for (index, feature) in found.enumerated() {
      let sum: Double = pixels[index * 9..<index * 9 + 9].reduce(0, +)
      #expect(abs(feature - sum / 9) < 1e-5)
    }
  }

  static let unknown: [TestModel] = [
    pooled.output("f"), pooled.node("Relu", ["f"], "y").output("y"),
    pooled.node("Gemm", ["w", "f"], "y", ["transB": .int(1)]).output("y"),
    pooled.node("MatMul", ["f", "u"], "m").node("Relu", ["m"], "y").output("y"),
  ]

  @Test(arguments: unknown) func anotherEndIsRefused(_ model: TestModel) throws {
    let model = try model.model()
    #expect(failureMessage { _ = try model.withoutLastLayer() }.contains("does not end with a fully connected layer"))
  }
}
