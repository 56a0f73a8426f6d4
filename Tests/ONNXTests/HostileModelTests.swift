import CPUBackend
import Compute
import DryRun
import Formats
import Foundation
import ONNX
import ONNXProto
import Support
import TestSupport
import Testing

/// A file that no honest program writes, or a graph that cannot run, and the texts that the message must contain.
struct Hostile: CustomTestStringConvertible, Sendable {
  let testDescription: String
  let bytes: [UInt8]
  let says: [String]

  init(_ what: String, bytes: [UInt8], _ says: String...) { (testDescription, self.bytes, self.says) = (what, bytes, says) }
  init(_ what: String, _ model: TestModel, _ says: String...) { (testDescription, bytes, self.says) = (what, model.bytes, says) }
}

/// Checks that each file gives one line that names the file and its error, before anything runs or much memory is allocated.
@Suite struct HostileModelTests {
  @Test(arguments: files + graphs + tensors + operators + sizes)
  func isRefused(_ hostile: Hostile) throws {
    try withTemporaryFolder { folder in
      let path = folder + "/model.onnx"
      try AtomicFile.write(hostile.bytes, to: path)
      let message = failureMessage {
        let model = try ONNXModel(contentsOf: path)
        let x = HostTensor([Float](repeating: 1, count: 48), shape: [1, 3, 4, 4])
        _ = try model.run(["x": x], on: DryRunBackend())
      }
      #expect(
        message.hasPrefix(path + ": ") && !message.contains("\n") && message.utf8.count < path.utf8.count + 600, "\(message)")
      for part in hostile.says { #expect(message.contains(part), "\(message)") }
    }
  }

  static let input = TestModel().input("x", [-1, 3, 4, 4])
  static let good = input.node("Relu", ["x"], "y").output("y")

  private static func conv(_ attributes: KeyValuePairs<String, TestModel.Attribute>, _ filter: [Int] = [2, 3, 3, 3]) -> TestModel
  {
    input.floats("w", [Float](repeating: 0, count: filter.reduce(1, *)), filter).node("Conv", ["x", "w"], "y", attributes)
      .output("y")
  }

  private static func initializer(_ change: @Sendable (inout Onnx_TensorProto) -> Void) -> TestModel {
    input.floats("w", [1, 2, 3, 4], [4]).node("Add", ["x", "w"], "y").output("y")
      .changed { change(&$0.graph.initializer[0]) }
  }

  private static func external(_ entries: KeyValuePairs<String, String>) -> TestModel {
    initializer { tensor in
      (tensor.dataLocation, tensor.rawData) = (1, Data())
      tensor.externalData = entries.map { key, value in .with { ($0.key, $0.value) = (key, value) } }
    }
  }

  private static func slice(_ start: [Int], _ end: [Int], _ axes: [Int], _ steps: [Int]) -> TestModel {
    input.integers("s", start).integers("e", end).integers("a", axes).integers("t", steps)
      .node("Slice", ["x", "s", "e", "a", "t"], "y").output("y")
  }

  private static func reshape(_ shape: [Int]) -> TestModel {
    input.integers("s", shape).node("Reshape", ["x", "s"], "y").output("y")
  }

  static let files = [
    Hostile("nothing", bytes: [], "not an ONNX model"),
    Hostile("zeros", bytes: [UInt8](repeating: 0, count: 100), "not an ONNX model"),
    Hostile("text", bytes: Array("hello, this is no model".utf8), "not an ONNX model"),
    Hostile("another program's file", bytes: Array("PK\u{3}\u{4}".utf8) + [UInt8](repeating: 7, count: 100), "not an ONNX model"),
    Hostile("half of a model", bytes: Array(good.bytes.prefix(good.bytes.count / 2)), "it ends within a value"),
    Hostile("a model but its last byte", bytes: good.bytes.dropLast(), "it ends within a value"),
    Hostile("a field of 2^62 bytes", bytes: [8, 8, 0x3A] + [UInt8](repeating: 0xFF, count: 8) + [0x3F], "not an ONNX model"),
    Hostile("a text that is none", bytes: [8, 8, 0x12, 2, 0xFF, 0xFE], "a string in it is not valid UTF-8"),
    Hostile("groups 200,000 deep", bytes: [8, 8] + [UInt8](repeating: 0x2B, count: 200_000), "not an ONNX model"),
    Hostile("messages 100,000 deep", bytes: [8, 8] + nested(100_000), "asks for is none"),
    Hostile("no graph", TestModel().changed { $0.clearGraph() }, "not an ONNX model"),
    Hostile("version 0 of the format", good.changed { $0.irVersion = 0 }, "not an ONNX model"),
    Hostile("no version of operators", good.changed { $0.opsetImport = [] }, "asks for is none"),
    Hostile("two versions", good.changed { $0.opsetImport.append(.with { $0.version = 12 }) }, "17, 12"),
    Hostile("version 1000", good.changed { $0.opsetImport[0].version = 1000 }, "1000", "7 to 28"),
    Hostile("version -2^63", good.changed { $0.opsetImport[0].version = .min }, "7 to 28"),
  ]

  /// Nests graph attributes in graph attributes: field 6 of an attribute, 5 of a node, 1 of a graph, 7 of the model.
  private static func nested(_ depth: Int) -> [UInt8] {
    func varint(_ value: Int) -> [UInt8] { value < 128 ? [UInt8(value)] : [UInt8(value & 127 | 128)] + varint(value >> 7) }
    // The bytes are built from the innermost message outwards, so in reverse.
    var reversed: [UInt8] = []
    for i in 0..<depth {
      reversed += varint(reversed.count).reversed()
      reversed.append([0x32, 0x2A, 0x0A][i % 3])
    }
    return [0x3A] + varint(reversed.count) + reversed.reversed()
  }

  static let graphs = [
    Hostile("no output", good.changed { $0.graph.output = [] }, "no output"),
    Hostile("an output of nothing", input.output("y"), "'y'"),
    Hostile("an input that nothing makes", input.node("Relu", ["z"], "y").output("y"), "'the Relu'", "'z'", "nothing makes"),
    Hostile(
      "a cycle", input.node("Add", ["x", "b"], "a").node("Relu", ["a"], "b").output("b"), "'the Add'", "'b'", "a cycle"),
    Hostile("a node that reads itself", input.node("Add", ["x", "y"], "y").output("y"), "'y'", "a cycle"),
    Hostile("nodes out of order", input.node("Relu", ["a"], "y").node("Relu", ["x"], "a").output("y"), "a later node"),
    Hostile("a value made twice", good.node("Relu", ["x"], "y"), "'y'", "there already"),
    Hostile("an input made again", input.node("Relu", ["x"], "x").output("x"), "'x'", "there already"),
    Hostile("two inputs of one name", good.input("x", [1]), "'x'", "twice"),
    Hostile("two initializers of one name", good.floats("w", [1], [1]).floats("w", [1], [1]), "'w'", "twice"),
    Hostile("an initializer without a name", good.floats("", [1], [1]), "no name"),
    Hostile("a node without inputs", input.node("Relu", [], "y").output("y"), "0 inputs"),
    Hostile("a node of three inputs", input.node("Relu", ["x", "x", "x"], "y").output("y"), "3 inputs"),
    Hostile("an input that is left out", input.node("Add", ["x", ""], "y").output("y"), "input 1 is missing"),
    Hostile("a node without outputs", good.changed { $0.graph.node[0].output = [] }, "nothing makes the output 'y'"),
    Hostile("an unknown operator", input.node("LSTM", ["x"], "y").output("y"), "'the LSTM'", "operator LSTM", "Conv"),
    Hostile("a control character", input.node("L\u{1B}[2J\nSTM", ["x"], "y").output("y"), "L\\u{1B}[2J\\nSTM"),
    Hostile("a name of 100,000 letters", input.node(String(repeating: "x", count: 100_000), ["x"], "y").output("y"), "xxx…"),
    Hostile(
      "another domain", good.changed { $0.graph.node[0].domain = "com.microsoft" }, "operator com.microsoft.Relu"),
    Hostile("an unknown attribute", input.node("Relu", ["x"], "y", ["alpha": .int(1)]).output("y"), "'alpha'"),
    Hostile(
      "an attribute twice", input.node("Softmax", ["x"], "y", ["axis": .int(1), "axis": .int(1)]).output("y"), "'axis'", "twice"),
    Hostile(
      "an attribute of a function",
      conv([:]).changed { $0.graph.node[0].attribute = [.with { ($0.name, $0.refAttrName) = ("pads", "p") }] },
      "refers to a function's"),
    Hostile("an input that is no tensor", good.changed { $0.graph.input[0].clearType() }, "'x'", "not a tensor"),
    Hostile("integers", TestModel().input("x", [3], type: 7).node("Relu", ["x"], "y").output("y"), "'x'", "INT64"),
    Hostile("a dimension of 2^62", TestModel().input("x", [1 << 62]).node("Relu", ["x"], "y").output("y"), "'x'"),
    Hostile(
      "images of another size", TestModel().input("x", [-1, 3, 5, 4]).node("Relu", ["x"], "y").output("y"), "[?, 3, 5, 4]"),
    Hostile("a missing input", good.input("z", [1, 2]), "'z' is not given"),
    Hostile("sparse initializers", good.changed { $0.graph.sparseInitializer = [Data([1])] }, "sparse"),
  ]

  static let tensors = [
    Hostile("bytes too few", initializer { $0.rawData.removeLast() }, "'w'", "15 bytes", "16"),
    Hostile("bytes too many", initializer { $0.rawData.append(0) }, "'w'", "17 bytes"),
    Hostile("bytes for a tensor without elements", initializer { $0.dims = [0] }, "'w'", "16 bytes"),
    Hostile("no values", initializer { $0.rawData = Data() }, "'w'", "0 elements"),
    Hostile("elements too many", initializer { ($0.rawData, $0.floatData) = (Data(), [1, 2, 3, 4, 5]) }, "'w'", "5 elements"),
    Hostile("a negative dimension", initializer { $0.dims = [-4, -1] }, "'w'", "[-4, -1]"),
    Hostile("2^64 elements", initializer { $0.dims = [1 << 32, 1 << 32] }, "'w'", "none that a tensor can have"),
    Hostile("2^63 - 1 elements", initializer { $0.dims = [.max] }, "'w'", "none that a tensor can have"),
    Hostile("100,000 dimensions", initializer { $0.dims = [Int64](repeating: 1, count: 100_000) }, "'w'", "1, …]"),
    Hostile("texts", initializer { $0.dataType = 8 }, "'w'", "STRING"),
    Hostile("an unknown type", initializer { $0.dataType = 999 }, "'w'", "number 999"),
    Hostile("a negative type", initializer { $0.dataType = -1 }, "'w'", "number -1"),
    Hostile("values elsewhere", initializer { $0.dataLocation = 1 }, "'w'", "which file"),
    Hostile("values in a system file", external(["location": "/etc/passwd"]), "'w'", "/etc/passwd", "beside the model"),
    Hostile("values above the model", external(["location": "a/../../b"]), "'w'", "a/../../b", "beside the model"),
    Hostile("values in a file that is not there", external(["location": "gone.bin"]), "'w'", "gone.bin", "No such file"),
    Hostile("values in the folder itself", external(["location": "."]), "'w'", "folder"),
    Hostile(
      "values beyond a file's end", external(["location": "model.onnx", "offset": "1099511627776"]), "'w'", "model.onnx",
      "truncated"
    ),
    Hostile(
      "values at the end of all numbers", external(["location": "model.onnx", "offset": "9223372036854775807"]), "'w'",
      "truncated"),
    Hostile("values before a file", external(["location": "model.onnx", "offset": "-1"]), "'w'", "offset", "'-1'"),
    Hostile("more values than it takes", external(["location": "model.onnx", "length": "17"]), "'w'", "17 bytes", "takes 16"),
    Hostile("a length that is none", external(["location": "model.onnx", "length": "1e9"]), "'w'", "'1e9'"),
    Hostile(
      "a type that does not fit its place",
      initializer { ($0.dataType, $0.int32Data, $0.rawData, $0.dims) = (2, [256], Data(), [1]) }, "'w'", "256"),
  ]

  static let operators = [
    Hostile("a filter of other channels", conv([:], [2, 5, 3, 3]), "'the Conv'", "3 channels"),
    Hostile("a filter of two dimensions", conv([:], [2, 3]), "'the Conv'", "[2, 3]"),
    Hostile("no groups", conv(["group": .int(0)]), "0 groups"),
    Hostile("negative groups", conv(["group": .int(-1)]), "-1 groups"),
    Hostile("stride 0", conv(["strides": .ints([0, 1])]), "'strides'", "[0, 1]"),
    Hostile("stride 2^40", conv(["strides": .ints([1 << 40, 1])]), "'strides'"),
    Hostile("one stride", conv(["strides": .ints([1])]), "'strides'"),
    Hostile("a float", conv(["strides": .float(1)]), "'strides'"),
    Hostile("dilation 2^62", conv(["dilations": .ints([1 << 62, 1])]), "'dilations'"),
    Hostile("negative padding", conv(["pads": .ints([-1, 0, 0, 0])]), "'pads'"),
    Hostile("three pads", conv(["pads": .ints([1, 1, 1])]), "'pads'"),
    Hostile("an unknown padding", conv(["auto_pad": .string("SOMETIMES")]), "SOMETIMES"),
    Hostile("another kernel_shape", conv(["kernel_shape": .ints([5, 5])]), "kernel_shape"),
    Hostile("a filter larger than the image", conv([:], [1, 3, 9, 9]), "too small"),
    Hostile("padding beyond memory", conv(["pads": .ints([1 << 20, 1 << 20, 0, 0])]), "more than"),
    Hostile(
      "a filter that is computed",
      input.node("Conv", ["x", "x"], "y").output("y"), "is computed"),
    Hostile(
      "taps that all miss the image",
      input.node(
        "MaxPool", ["x"], "y", ["kernel_shape": .ints([2, 1]), "dilations": .ints([8, 1]), "pads": .ints([1, 0, 4, 0])]
      ).output("y"), "padding alone"),
    Hostile(
      "integers without end",
      (0..<40).reduce(input.integers("i0", [Int](repeating: 1, count: 1 << 15))) { model, i in
        model.node("Transpose", ["i\(i)"], "i\(i + 1)")
      }.node("Reshape", ["x", "i40"], "y").output("y"), "INT64 are worked out"),
    Hostile(
      "nothing, flattened",
      input.floats("w", [], [0, 1 << 40, 1 << 40]).node("Flatten", ["w"], "y").output("y"), "initializer 'w': its shape"),
    Hostile(
      "nothing, reshaped",
      input.floats("w", [], [0]).integers("s", [0, 1 << 40, 1 << 40]).node("Reshape", ["w", "s"], "y", ["allowzero": .int(1)])
        .output("y"), "cannot become [0, 1099511627776"),
    Hostile(
      "nothing, made and transposed",
      input.integers("s", [0, 1 << 40, 1 << 40]).node("ConstantOfShape", ["s"], "w").node("Transpose", ["w"], "y").output("y"),
      "ConstantOfShape", "[0, 1099511627776"),
    Hostile(
      "nothing as a result", input.floats("y", [], [0, 1 << 40, 1 << 40]).output("y"), "initializer 'y': its shape"),
    Hostile(
      "a window of padding",
      input.node("MaxPool", ["x"], "y", ["kernel_shape": .ints([2, 2]), "pads": .ints([2, 0, 0, 0])]).output("y"), "padding alone"
    ),
    Hostile("no kernel_shape", input.node("MaxPool", ["x"], "y").output("y"), "kernel_shape"),
    Hostile("an empty window", input.node("MaxPool", ["x"], "y", ["kernel_shape": .ints([0, 2])]).output("y"), "[0, 2]"),
    Hostile("an axis beyond", input.node("Flatten", ["x"], "y", ["axis": .int(5)]).output("y"), "axis 5"),
    Hostile("the last axis", input.node("Softmax", ["x"], "y", ["axis": .int(.min)]).output("y"), "no axis"),
    Hostile("no order", input.node("Transpose", ["x"], "y", ["perm": .ints([0, 1, 1, 3])]).output("y"), "[0, 1, 1, 3]"),
    Hostile("an order of five", input.node("Transpose", ["x"], "y", ["perm": .ints([0, 1, 2, 3, 4])]).output("y"), "perm"),
    Hostile("another count", reshape([5, 7]), "[5, 7]"), Hostile("two unknowns", reshape([-1, -1]), "[-1, -1]"),
    Hostile("a negative size", reshape([-3, -16]), "[-3, -16]"),
    Hostile("2^64 elements", reshape([1 << 32, 1 << 32]), "cannot become"),
    Hostile("2^63 - 1 elements", reshape([.max, -1]), "cannot become"),
    Hostile("a size that is not there", reshape([0, 0, 0, 0, 0]), "dimension 4"),
    Hostile("a shape of floats", input.floats("s", [48], [1]).node("Reshape", ["x", "s"], "y").output("y"), "FLOAT"),
    Hostile(
      "matrices that do not fit", input.floats("w", [1, 2], [2, 1]).node("MatMul", ["x", "w"], "y").output("y"), "[2, 1]"),
    Hostile("a product of what is computed", input.node("Mul", ["x", "x"], "y").output("y"), "'the Mul'", "are computed"),
    Hostile(
      "a quotient by what is computed", input.floats("w", [1], []).node("Div", ["w", "x"], "y").output("y"), "'the Div'",
      "divides by what is computed"),
    Hostile("a division by zero", numbers("Div", [1], [0]), "'the Div'", "Div of 1 and 0"),
    Hostile("the largest number and one", numbers("Add", [.max], [1]), "Add of 9223372036854775807 and 1"),
    Hostile("the smallest number by -1", numbers("Div", [.min], [-1]), "Div of -9223372036854775808 and -1"),
    Hostile(
      "constants of two types", input.floats("f", [1], [1]).integers("i", [1]).node("Mul", ["f", "i"], "y").output("y"), "INT64"),
    Hostile(
      "constants that do not go together", numbers("Sub", [1, 2], [1, 2, 3]), "'the Sub'", "[2] and [3]"),
    Hostile(
      "a table of products",
      input.integers("a", [Int](repeating: 1, count: 1 << 11)).changed { model in
        var column = model.graph.initializer[0]
        (column.name, column.dims) = ("b", [1 << 11, 1])
        model.graph.initializer.append(column)
      }.node("Mul", ["a", "b"], "y").output("y"), "INT64 are worked out"),
    Hostile("shapes that do not go together", input.floats("w", [1, 2], [2]).node("Add", ["x", "w"], "y").output("y"), "[2]"),
    Hostile(
      "a sum of integers", input.integers("w", [1, 2]).node("Add", ["x", "w"], "y").output("y"), "'the Add'", "INT64"),
    Hostile(
      "a variance that is not positive",
      input.floats("v", [1, -1, 1], [3]).node("BatchNormalization", ["x", "v", "v", "v", "v"], "y").output("y"), "variance"),
    Hostile(
      "training",
      input.node("Dropout", ["x", "", "t"], "y").changed {
        $0.graph.initializer = [.with { ($0.name, $0.dataType, $0.rawData) = ("t", 9, Data([1])) }]
      }.output("y"), "training_mode"),
    Hostile("a cast to integers", input.node("Cast", ["x"], "y", ["to": .int(7)]).output("y"), "INT64"),
    Hostile(
      "training of an old version",
      input.floats("v", [1, 1, 1], [3]).node("BatchNormalization", ["x", "v", "v", "v", "v"], "y").changed {
        $0.opsetImport[0].version = 9
        $0.graph.node[0].output = ["y", "m", "v2", "m3", "v4"]
      }.output("y"), "'the BatchNormalization'", "outputs of training"),
    Hostile(
      "elements of what is computed", input.integers("i", [0]).node("Gather", ["x", "i"], "y").output("y"), "'the Gather'",
      "is computed"),
    Hostile(
      "an element that is not there",
      good.integers("i", [3]).integers("d", [7, 8, 9]).node("Gather", ["d", "i"], "z").output("z"),
      "'the Gather'", "no element 3"),
    Hostile("a step of nothing", slice([0], [2], [1], [0]), "'the Slice'", "step along dimension 1 is 0"),
    Hostile("a slice backwards", slice([3], [0], [3], [-1]), "'the Slice'", "backwards"),
    Hostile("a slice of nothing", slice([2], [1], [2], [1]), "'the Slice'", "no elements"),
    Hostile("a slice along no dimension", slice([0], [1], [4], [1]), "'the Slice'", "no axis 4"),
    Hostile("a slice of two ends", slice([0], [1, 2], [2], [1]), "'the Slice'", "[1, 2]"),
    Hostile("a slice to the end of all numbers", slice([.min], [.max], [7], [.min]), "'the Slice'", "no axis 7"),
    Hostile("a mean along no dimension", input.node("ReduceMean", ["x"], "y", ["axes": .ints([-5])]).output("y"), "no axis -5"),
    Hostile("a cast to nothing", input.node("Cast", ["x"], "y", ["to": .int(1 << 40)]).output("y"), "cast to"),
  ]

  private static func numbers(_ op: String, _ a: [Int], _ b: [Int]) -> TestModel {
    input.integers("a", a).integers("b", b).node(op, ["a", "b"], "y").output("y")
  }

  /// Makes a model that adds a constant of `count` elements to x.
  private static func filled(_ count: Int) -> TestModel {
    input.integers("s", [count]).node("ConstantOfShape", ["s"], "c").node("Add", ["x", "c"], "y").output("y")
  }

  private static func padded(_ pads: [Int]) -> TestModel {
    input.integers("p", pads).node("Pad", ["x", "p"], "y").output("y")
  }

  static let sizes = [
    Hostile("a constant of 2^62 elements", filled(1 << 62), "'the ConstantOfShape'"),
    Hostile("a constant of 2^35 elements", filled(1 << 35), "34359738368 elements"),
    Hostile(
      "a constant doubled sixty times", doubled(good.integers("v0", [1, 2, 3]), "v").output("v60"), "1572858 elements",
      "1048576"),
    Hostile(
      "a value doubled sixty times", doubled(input.node("Identity", ["x"], "v0"), "v").output("v60"), "'the Concat'",
      "2147483647"),
    Hostile("padding of 2^31", padded([0, 0, 0, 0, 1 << 30, 1 << 30, 0, 0]), "2147483647"),
    Hostile("padding of 2^63", padded([0, 0, 0, 0, .max, 0, 0, 0]), "pads"),
    Hostile("cropping to nothing", padded([0, 0, -4, 0, 0, 0, 0, 0]), "nothing is left"),
    Hostile(
      "ten dimensions", input.integers("axes", [0, 1, 2, 3, 4, 5]).node("Unsqueeze", ["x", "axes"], "y").output("y"),
      "too many dimensions"),
  ]

  private static func doubled(_ model: TestModel, _ name: String) -> TestModel {
    (0..<60).reduce(model) { $0.node("Concat", ["\(name)\($1)", "\(name)\($1)"], "\(name)\($1 + 1)", ["axis": .int(0)]) }
  }
}
