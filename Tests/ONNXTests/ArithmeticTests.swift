import CPUBackend
import Compute
import DryRun
import Foundation
import ONNX
import OpenCLBackend
import Testing

/// Tests Add, Sub, Mul and Div: with constants, with computed values, and as batch normalization and normalization written out.
@Suite struct ArithmeticTests {
  private func numbers(_ shape: Shape) -> HostTensor {
    HostTensor((0..<shape.count).map { Float($0 * 7 % 11) - 3 }, shape: shape)
  }

  private func run(_ model: TestModel, _ x: HostTensor) throws -> HostTensor {
    try #require(try model.model().run(["x": x], on: CPUBackend()).first?.tensor)
  }

  private func operations(_ model: TestModel, _ x: HostTensor) throws -> [String] {
    let dry = DryRunBackend()
    _ = try model.model().run(["x": x], on: dry)
    return dry.operations.map(\.operation).filter { $0 != "prepareFilter" && $0 != "foldBatchNorm" }
  }

  private static let convolution = TestModel().input("x", [-1, 3, 5, 5])
    .floats("w", (0..<81).map { Float($0 * 7 % 11) - 3 }, [3, 3, 3, 3]).floats("b", [3, 1, 2], [3])
    .floats("one", [1, 1.5, 2], [3]).floats("half", [0.5, -0.5, 0.25], [3])
    .floats("s", [0.5, -2, 1.5], [1, 3, 1, 1]).floats("t", [1, 2, -3], [3, 1, 1]).floats("n", [4], [])
    .node("Conv", ["x", "w", "b"], "a", ["pads": .ints([1, 1, 1, 1])])

  /// Graphs after a convolution: fused operations must give the same result as separate ones.
  static let behind: [TestModel] = [
    convolution.node("Mul", ["a", "s"], "c").node("Add", ["c", "t"], "d"),
    convolution.node("Sub", ["a", "t"], "c").node("Div", ["c", "s"], "d"),
    convolution.node("Sub", ["t", "a"], "c").node("Mul", ["s", "c"], "d"),
    convolution.node("Sub", ["a", "t"], "c").node("BatchNormalization", ["c", "one", "half", "half", "one"], "d"),
    convolution.node("Add", ["t", "a"], "b1").node("BatchNormalization", ["b1", "one", "half", "half", "one"], "c")
      .node("Mul", ["c", "s"], "b2").node("Sub", ["n", "b2"], "d"),
  ]

  @Test(arguments: behind) func whatIsWrittenOutBehindAConvolutionIsPartOfIt(_ part: TestModel) throws {
    let x = numbers([2, 3, 5, 5])
    let whole = part.node("Add", ["x", "d"], "e").node("Relu", ["e"], "y").output("y")
    #expect(try operations(whole, x) == ["rearrange", "convolution", "rearrange"])
    // Intermediate values are outputs too, so that nothing can be fused.
    let apart = part.proto.graph.node.reduce(whole) { $0.output($1.output[0]) }.output("e")
    let (found, expected) = (try run(whole, x), try run(apart, x))
    #expect(zip(found.floats, expected.floats).allSatisfy { abs($0 - $1) <= 1e-4 })
    #expect(Set(found.floats).count > 20)
  }

  /// Checks that a factor before batch normalization cannot be fused with it: the normalization is a separate operation.
  @Test func aFactorBeforeNormalization() throws {
    let model = Self.convolution.node("Mul", ["a", "s"], "c").node(
      "BatchNormalization", ["c", "one", "half", "half", "one"], "y"
    )
    .output("y")
    let x = numbers([2, 3, 5, 5])
    #expect(try operations(model, x).filter { $0 == "batchNorm" }.count == 1)
    let (found, expected) = (try run(model, x), try run(model.output("a").output("c"), x))
    #expect(zip(found.floats, expected.floats).allSatisfy { abs($0 - $1) <= 1e-4 })
  }

  @Test func imagesThatAreNormalizedInTheGraph() throws {
    let model = TestModel().input("x", [-1, 3, 2, 2]).floats("full", [255], [1]).floats("mean", [0.5, 0.25, 0.75], [3, 1, 1])
      .floats("deviation", [0.5, 0.25, 2], [1, 3, 1, 1]).node("Div", ["x", "full"], "a").node("Sub", ["a", "mean"], "b")
      .node("Div", ["b", "deviation"], "y").output("y")
    let x = HostTensor((0..<24).map { Float($0 * 10) }, shape: [2, 3, 2, 2])
    let expected = (0..<24).map { i -> Float in
      let c = i / 4 % 3
      return (Float(i * 10) / 255 - [0.5, 0.25, 0.75][c]) / [0.5, 0.25, 2][c]
    }
    for backend in [CPUBackend(), try OpenCLBackend(device: DeviceList.find("opencl").device)] as [any Backend] {
      let y = try #require(try model.model().run(["x": x], on: backend).first?.tensor)
      #expect(zip(y.floats, expected).allSatisfy { abs($0 - $1) <= 1e-6 }, "\(backend.name): \(y.floats)")
    }
    // All of it is one operation, between two that move the channels.
    #expect(try operations(model, x) == ["rearrange", "batchNorm", "rearrange"])
  }

  /// Checks constants of every shape on either side against NumPy's broadcasting rule, written out here.
  @Test(arguments: ["Add", "Sub", "Mul", "Div"], [[2, 3], [3], [2, 1], [1], [], [4, 1, 3], [1, 2, 3]])
  func constantsOfAnyShape(_ op: String, _ shape: [Int]) throws {
    let c = (0..<shape.reduce(1, *)).map { Float($0) * 0.5 + 1 }
    let x = numbers([2, 3])
    for isReversed in [false, true] where !(isReversed && op == "Div") {
      let model = TestModel().input("x", [2, 3]).floats("c", c, shape).node(op, isReversed ? ["c", "x"] : ["x", "c"], "y")
        .output("y")
      let y = try run(model, x)
      let padded = [Int](repeating: 1, count: max(0, 3 - shape.count)) + shape
      let expected = (0..<padded[0] * 6).map { i -> Float in
        let place = zip(padded, [i / 6, i / 3 % 2, i % 3]).reduce(0) { $1.0 == 1 ? $0 : $0 * $1.0 + $1.1 }
        let (a, b) = isReversed ? (c[place], x.floats[i % 6]) : (x.floats[i % 6], c[place])
        return op == "Add" ? a + b : op == "Sub" ? a - b : op == "Mul" ? a * b : a / b
      }
      #expect(y.shape.dimensions == (shape.count == 3 ? [padded[0], 2, 3] : [2, 3]))
      #expect(zip(y.floats, expected).allSatisfy { abs($0 - $1) <= 1e-6 }, "\(y.floats), not \(expected)")
    }
  }

  @Test func differencesOfWhatIsComputed() throws {
    let model = TestModel().input("x", [2, 3]).node("Relu", ["x"], "r").node("Sub", ["r", "x"], "y").output("y")
    let x = numbers([2, 3])
    #expect(try run(model, x).floats == x.floats.map { max(-$0, 0) })
  }

  /// Checks how programs compute the size of a vector: (channels · pixels − 6) / 2.
  @Test func arithmeticOfShapes() throws {
    let model = TestModel().input("x", [-1, 3, 2, 3]).integers("one", [1]).integers("six", [6]).integers("two", [2])
      .integers("rest", [-1]).node("Shape", ["x"], "all", ["start": .int(1), "end": .int(2)])
      .node("Mul", ["all", "six"], "a").node("Sub", ["a", "six"], "b").node("Div", ["b", "two"], "c")
      .node("Concat", ["rest", "c"], "shape", ["axis": .int(0)]).node("Reshape", ["x", "shape"], "y").output("y")
    #expect(try run(model, numbers([2, 3, 2, 3])).shape == [6, 6])
  }

  /// Checks batch normalization as formulas of constants: weight / (deviation · 2), with all shapes that can be broadcast.
  @Test func arithmeticOfConstants() throws {
    let model = TestModel().input("x", [1, 2, 2]).floats("weight", [6, 8], [2, 1]).floats("deviation", [1, 2], [2])
      .floats("two", [2], []).node("Mul", ["deviation", "two"], "a").node("Div", ["weight", "a"], "b")
      .node("Add", ["x", "b"], "y").output("y")
    let x = HostTensor([0, 0, 10, 20] as [Float], shape: [1, 2, 2])
    #expect(try run(model, x).floats == [3, 1.5, 14, 22])
    #expect(try operations(model, x) == ["batchNorm"])
  }

  /// Checks that half-precision values are computed as float32, whatever the types of the input and the casts are.
  @Test(arguments: [(10, 1), (1, 10), (16, 16)] as [(Int32, Int)]) func typesOf16Bits(_ input: Int32, _ cast: Int) throws {
    let model = TestModel().input("x", [1, 2], type: input).halves("c", [1.5, -0.25], [2])
      .node("Cast", ["x"], "a", ["to": .int(cast)]).node("Mul", ["a", "c"], "b").node("Cast", ["b"], "y", ["to": .int(1)])
      .output("y")
    #expect(try run(model, HostTensor([2, 0.1] as [Float], shape: [1, 2])).floats == [3, -0.025])
  }
}
