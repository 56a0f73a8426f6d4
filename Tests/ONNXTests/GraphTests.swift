import CPUBackend
import Compute
import DryRun
import Formats
import ONNX
import Support
import TestSupport
import Testing

/// Tests whole graphs: values calculated by hand, layouts, and operations that are fused into one.
@Suite struct GraphTests {
  private func numbers(_ shape: Shape) -> HostTensor {
    HostTensor((0..<shape.count).map { Float($0 * 7 % 11) - 3 }, shape: shape)
  }

  /// Checks images [N,H,W,C] and the maximum of each 3×3 window with padding only at the end, as in models from TensorFlow.
  @Test func channelsComeToTheFrontForNothing() throws {
    let model = try TestModel().input("x", [-1, 4, 4, 2]).node("Transpose", ["x"], "a", ["perm": .ints([0, 3, 1, 2])])
      .node("MaxPool", ["a"], "b", ["kernel_shape": .ints([3, 3]), "strides": .ints([2, 2]), "pads": .ints([0, 0, 1, 1])])
      .node("Transpose", ["b"], "y", ["perm": .ints([0, 2, 3, 1])]).output("y").model()
    let x = numbers([3, 4, 4, 2])
    let y = try #require(try model.run(["x": x], on: CPUBackend()).first?.tensor)
    let elements = x.floats
    let expected = (0..<3 * 2 * 2 * 2).map { i -> Float in
      let (n, p, q, c) = (i / 8, i / 4 % 2, i / 2 % 2, i % 2)
      let rows = 2 * p..<min(4, 2 * p + 3)
      let columns = 2 * q..<min(4, 2 * q + 3)
      return rows.flatMap { r in columns.map { elements[((n * 4 + r) * 4 + $0) * 2 + c] } }.max() ?? .nan
    }
    #expect(y.shape == [3, 2, 2, 2] && y.floats == expected)
    // Nothing was moved: one operation did it all.
    let dry = DryRunBackend()
    _ = try model.run(["x": x], on: dry)
    #expect(dry.operations.map(\.operation) == ["pool"])
  }

  /// Checks that batch normalization, the sum and ReLU are fused into the convolution.
  @Test func whatFollowsAConvolutionIsPartOfIt() throws {
    let model = try TestModel().input("x", [-1, 3, 5, 5]).floats("w", numbers([3, 3, 3, 3]).floats, [3, 3, 3, 3])
      .floats("one", [1, 1, 1], [3]).floats("half", [0.5, 0.5, 0.5], [3])
      .node("Conv", ["x", "w"], "a", ["pads": .ints([1, 1, 1, 1])])
      .node("BatchNormalization", ["a", "one", "half", "half", "one"], "b").node("Add", ["x", "b"], "c")
      .node("Relu", ["c"], "y").output("y").model()
    let dry = DryRunBackend()
    let x = numbers([2, 3, 5, 5])
    _ = try model.run(["x": x], on: dry)
    // The channels are moved to the end once, and back to the front at the end.
    let operations = dry.operations.map(\.operation).filter { $0 != "prepareFilter" && $0 != "foldBatchNorm" }
    #expect(operations == ["rearrange", "convolution", "rearrange"])
    #expect(dry.operations.contains { $0.detail.hasSuffix("folded, residual, relu") })
    // In this graph the intermediate values are outputs too, so that nothing can be fused.
    let apart = try TestModel().input("x", [-1, 3, 5, 5]).floats("w", numbers([3, 3, 3, 3]).floats, [3, 3, 3, 3])
      .floats("one", [1, 1, 1], [3]).floats("half", [0.5, 0.5, 0.5], [3])
      .node("Conv", ["x", "w"], "a", ["pads": .ints([1, 1, 1, 1])])
      .node("BatchNormalization", ["a", "one", "half", "half", "one"], "b").node("Add", ["x", "b"], "c")
      .node("Relu", ["c"], "y").output("y").output("a").output("b").output("c").model()
    let (joined, parts) = (try model.run(["x": x], on: CPUBackend())[0], try apart.run(["x": x], on: CPUBackend())[0])
    #expect(zip(joined.tensor.floats, parts.tensor.floats).allSatisfy { abs($0 - $1) <= 1e-4 })
    #expect(Set(joined.tensor.floats).count > 20)
  }

  /// Checks strides and dilations that differ by direction, padding on one side, and groups against the definition of the
  /// convolution.
  @Test(arguments: [
    (1, [2, 1], [1, 2], [1, 0, 2, 1]), (2, [1, 3], [2, 2], [0, 2, 1, 2]), (2, [1, 1], [1, 1], [2, 0, 0, 1]),
  ])
  func anyConvolution(groups: Int, strides: [Int], dilations: [Int], pads: [Int]) throws {
    let (x, w, bias) = (numbers([2, 4, 7, 9]), numbers([6, 4 / groups, 3, 2]), numbers([6]))
    let model = try TestModel().input("x", [2, 4, 7, 9]).floats("w", w.floats, w.shape.dimensions)
      .floats("bias", bias.floats, [6])
      .node(
        "Conv", ["x", "w", "bias"], "y",
        ["group": .int(groups), "strides": .ints(strides), "dilations": .ints(dilations), "pads": .ints(pads)]
      ).output("y").model()
    let y = try model.run(["x": x], on: CPUBackend())[0].tensor
    let p = (7 + pads[0] + pads[2] - 2 * dilations[0] - 1) / strides[0] + 1
    let q = (9 + pads[1] + pads[3] - dilations[1] - 1) / strides[1] + 1
    #expect(y.shape == [2, 6, p, q])
    let (from, filter, summand, found) = (x.floats, w.floats, bias.floats, y.floats)
    for i in 0..<y.count {
      let (n, k, row, column) = (i / (6 * p * q), i / (p * q) % 6, i / q % p, i % q)
      var sum = summand[k]
      for c in 0..<4 / groups {
        for r in 0..<3 {
          for s in 0..<2 {
            let (h, v) = (row * strides[0] - pads[0] + r * dilations[0], column * strides[1] - pads[1] + s * dilations[1])
            guard (0..<7).contains(h), (0..<9).contains(v) else { continue }
            let channel = k / (6 / groups) * (4 / groups) + c
            sum += from[((n * 4 + channel) * 7 + h) * 9 + v] * filter[((k * (4 / groups) + c) * 3 + r) * 2 + s]
          }
        }
      }
      #expect(abs(found[i] - sum) <= 1e-4, "\(i): \(found[i]), not \(sum)")
    }
  }

  /// Checks a flattening as old programs write it: the shape is calculated from constants and the batch size.
  @Test func shapesAreWorkedOutBeforehand() throws {
    let model = try TestModel().input("x", [-1, 3, 2, 2]).integers("rest", [-1])
      .node("Shape", ["x"], "batch", ["end": .int(1)]).node("Concat", ["batch", "rest"], "shape", ["axis": .int(0)])
      .node("Reshape", ["x", "shape"], "y").output("y").model()
    let x = numbers([5, 3, 2, 2])
    let y = try model.run(["x": x], on: CPUBackend())[0].tensor
    #expect(y == x.reshaped([5, 12]))
  }

  /// Checks PyTorch's `x.view(x.size(0), -1)`, and its average pooling to one pixel.
  @Test func whatPyTorchWritesForTheEndOfANetwork() throws {
    let model = try TestModel().input("x", [-1, 3, 4, 2]).integers("first", [0]).integers("rest", [-1])
      .node("ReduceMean", ["x"], "a", ["axes": .ints([-1, 2])]).node("Shape", ["x"], "sizes")
      .node("Gather", ["sizes", "first"], "batch").node("Concat", ["batch", "rest"], "shape", ["axis": .int(0)])
      .node("Reshape", ["a", "shape"], "y").output("y").model()
    let (x, dry) = (numbers([5, 3, 4, 2]), DryRunBackend())
    let y = try model.run(["x": x], on: CPUBackend())[0].tensor
    let expected = (0..<15).map { x.floats[$0 * 8..<$0 * 8 + 8].reduce(0, +) / 8 }
    #expect(y.shape == [5, 3] && zip(y.floats, expected).allSatisfy { abs($0 - $1) < 1e-6 })
    _ = try model.run(["x": x], on: dry)
    #expect(dry.operations.contains { $0.operation == "globalAveragePool" })
  }

  /// Checks the shortcut without parameters: every second pixel, and channels of zeros.
  @Test func slicesOfWhatIsComputed() throws {
    let model = try TestModel().input("x", [-1, 2, 5, 4]).integers("s", [0, -3]).integers("e", [.max, 100]).integers("a", [2, 3])
      .integers("t", [2, 2]).integers("p", [0, 1, 0, 0, 0, 1, 0, 0]).node("Slice", ["x", "s", "e", "a", "t"], "z")
      .node("Pad", ["z", "p"], "y").output("y").model()
    let x = numbers([3, 2, 5, 4])
    let y = try model.run(["x": x], on: CPUBackend())[0].tensor
    let expected = (0..<3 * 4 * 3 * 2).map { i -> Float in
      let (n, c, h, w) = (i / 24, i / 6 % 4 - 1, i / 2 % 3, i % 2)
      return c < 0 || c > 1 ? 0 : x.floats[((n * 2 + c) * 5 + 2 * h) * 4 + 1 + 2 * w]
    }
    #expect(y.shape == [3, 4, 3, 2] && y.floats == expected)
  }

  /// Checks that every window that begins within the image or its padding counts, even if it is larger than both.
  @Test func windowsThatAreRoundedUp() throws {
    // Averages are over the pixels alone: both rows of columns 0 to 2, 2 to 4, and 4 and 5.
    for (op, expected) in [("MaxPool", [8, 10, 11] as [Float]), ("AveragePool", [4, 6, 7.5])] {
      let model = try TestModel().input("x", [1, 1, 2, 6])
        .node(op, ["x"], "y", ["kernel_shape": .ints([3, 3]), "strides": .ints([2, 2]), "ceil_mode": .int(1)]).output("y").model()
      let x = HostTensor((0..<12).map(Float.init), shape: [1, 1, 2, 6])
      let y = try model.run(["x": x], on: CPUBackend())[0].tensor
      #expect(y.shape == [1, 1, 1, 3] && zip(y.floats, expected).allSatisfy { abs($0 - $1) < 1e-6 }, "\(op): \(y.floats)")
    }
  }

  /// Checks weights in a separate file, one after the other.
  @Test func valuesMayLieBesideTheModel() throws {
    let values: [Float] = [3, 1, 4, 1, 5]
    let model = TestModel().input("x", [1, 2]).floats("a", [], [2]).floats("b", [], [2]).node("Add", ["x", "a"], "z")
      .node("Add", ["z", "b"], "y").output("y").changed {
        for (index, (offset, length)) in [(0, ""), (8, "8")].enumerated() {
          $0.graph.initializer[index].dataLocation = 1
          let entries = [("location", "parts/weights.bin"), ("offset", String(offset + 4)), ("length", length)]
          $0.graph.initializer[index].externalData = entries.filter { !$0.1.isEmpty }.map { key, value in
            .with { ($0.key, $0.value) = (key, value) }
          }
        }
      }
    try withTemporaryFolder { folder in
      try Folder.make("\(folder)/parts")
      try AtomicFile.write(values.withUnsafeBytes { Array($0) }, to: "\(folder)/parts/weights.bin")
      try AtomicFile.write(model.bytes, to: "\(folder)/model.onnx")
      let read = try ONNXModel(contentsOf: "\(folder)/model.onnx")
      let y = try read.run(["x": HostTensor([10, 20] as [Float], shape: [1, 2])], on: CPUBackend())[0].tensor
      #expect(y.floats == [12, 29])
    }
  }

  /// Checks that values that no result depends on may have any type, operator and location.
  @Test func whatIsNotUsedIsNotLookedAt() throws {
    let model = try TestModel().input("x", [1, 2]).floats("texts", [1], [1]).floats("elsewhere", [], [9]).floats(
      "w", [1, 2], [2]
    )
    .node("LSTM", ["x", "texts"], "other").node("Add", ["x", "w"], "y").node("Relu", ["other"], "z").output("y").changed {
      $0.graph.initializer[0].dataType = 8
      $0.graph.initializer[1].dataLocation = 1
      $0.graph.initializer[1].externalData = [.with { ($0.key, $0.value) = ("location", "gone.bin") }]
    }.model()
    let y = try model.run(["x": HostTensor([10, 20] as [Float], shape: [1, 2])], on: CPUBackend())[0].tensor
    #expect(y.floats == [11, 22])
  }

  /// Checks that the first convolution gives the number of channels if the input has no sizes.
  @Test func channelsAreThoseOfTheFirstConvolution() throws {
    func network(_ model: TestModel, _ first: String, _ group: Int) -> TestModel {
      model.floats("half", [0.5], []).floats("w", [Float](repeating: 1, count: 16), [4, 4 / group, 1, group])
        .node("Mul", [first, "half"], "b").node("Identity", ["w"], "filter")
        .node("Conv", ["b", "filter"], "c", ["group": .int(group)]).node("GlobalAveragePool", ["c"], "d")
        .node("Flatten", ["d"], "y").output("y")
    }
    let free = [-1, -1, -1, -1]
    let plain = network(TestModel().input("x", free), "x", 1)
    let grouped = network(TestModel().input("x", free), "x", 2)
    let last = network(TestModel().input("x", free).node("Transpose", ["x"], "a", ["perm": .ints([0, 3, 1, 2])]), "a", 1)
    for model in [plain, grouped, last] {
      let description = try model.model().description()
      #expect(description.channels == 4 && description.fixedSize == nil && description.classes.count == 4)
    }
    let none = try TestModel().input("x", free).node("GlobalAveragePool", ["x"], "d").node("Flatten", ["d"], "y").output("y")
      .model()
    #expect(throws: Failure.self) { try none.description() }
  }

  /// Checks old versions: before 13, softmax was over all dimensions from its axis on; before 11, bounds and padding were
  /// attributes.
  @Test func operatorsMeanWhatTheirVersionSays() throws {
    let old = try TestModel().changed { $0.opsetImport[0].version = 9 }.input("x", [1, 2, 2])
      .node("Pad", ["x"], "a", ["pads": .ints([0, 0, 0, 0, 0, 1]), "value": .float(1)])
      .node("Clip", ["a"], "b", ["max": .float(1)]).node("Softmax", ["b"], "y").output("y").model()
    let y = try old.run(["x": HostTensor([1, 2, 5, 1] as [Float], shape: [1, 2, 2])], on: CPUBackend())[0].tensor
    #expect(y.shape == [1, 2, 3] && y.floats.allSatisfy { abs($0 - 1 / 6) < 1e-6 })
  }
}
