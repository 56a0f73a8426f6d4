import Checkpoints
import Compute
import Models
import NN
import ONNXProto
import Support
import SwiftProtobuf

/// Exports residual networks as ONNX models with the normalized input `input` [batch,C,height,width], the output `logits`
/// [batch,classes], and initializers under torchvision's names.
public enum ONNXExport {
  /// Version of ONNX's operators that is written; ``irVersion`` is the version of the format that goes with it.
  public static let opset = 17
  static let irVersion: Int64 = 8

  /// Writes a model atomically.
  /// - Parameters:
  ///   - weights: weights in torchvision's names and layouts.
  ///   - description: content of the model's metadata.
  ///   - folding: whether batch normalization that follows a convolution is folded into its filter and bias.
  /// - Throws: ``Failure`` if these are not the network's weights or the file cannot be written.
  public static func write(
    _ weights: [String: HostTensor], _ network: ResNet, _ description: Weights.Description, folding: Bool, to path: String
  ) throws {
    try network.store.check(weights)
    var writer = GraphWriter(weights: weights, folding: folding)
    let logits = try network.write("input", to: &writer)
    if let name = writer.outOfRange {
      throw Failure(
        .invalidSetting, "'\(name)', with batch normalization as part of it, has values that float32 does not hold",
        remedy: "export without \(Setting.fold)")
    }
    precondition(logits == "logits", "[ONNX] the last value is \(logits)")
    writer.graph.name = network.configuration.name
    writer.graph.input = [value("input", [nil, network.configuration.channels, nil, nil], ["batch", "", "height", "width"])]
    writer.graph.output = [value("logits", [nil, network.configuration.classes], ["batch", ""])]
    var model = Onnx_ModelProto()
    model.irVersion = irVersion
    model.producerName = "resnet"
    model.opsetImport = [.with { $0.version = Int64(opset) }]
    model.metadataProps = try description.metadata().map { key, value in
      .with {
        $0.key = key
        $0.value = value
      }
    }
    model.graph = writer.graph
    let bytes: [UInt8] = try model.serializedBytes()
    try AtomicFile.write(bytes, to: path)
  }

  private static func value(_ name: String, _ sizes: [Int?], _ names: [String]) -> Onnx_ValueInfoProto {
    .with {
      $0.name = name
      $0.type.tensorType.elemType = ElementType.float.rawValue
      $0.type.tensorType.shape.dim = zip(sizes, names).map { size, name in
        .with { $0.value = size.map { .dimValue(Int64($0)) } ?? .dimParam(name) }
      }
    }
  }
}

/// Collects nodes and initializers as the network describes them.
private struct GraphWriter: NetworkWriter {
  let weights: [String: HostTensor]
  let folding: Bool
  var graph = Onnx_GraphProto()
  /// Name of a convolution whose tensors are no longer finite after folding; nil if there is none.
  private(set) var outOfRange: String?

  init(weights: [String: HostTensor], folding: Bool) { (self.weights, self.folding) = (weights, folding) }

  // MARK: Layers

  mutating func convolution(_ x: String, _ layer: Conv2DLayer) -> String {
    let parameters = ["weight"] + (layer.bias == nil ? [] : ["bias"])
    return add("Conv", layer.name, [x] + parameters.map { initializer("\(layer.name).\($0)") }, attributes(of: layer))
  }

  mutating func unit(_ x: String, _ unit: ConvolutionUnit) -> String {
    guard let layer = unit.norm else { return convolution(x, unit.convolution) }
    guard folding else { return norm(convolution(x, unit.convolution), layer) }
    let (filter, bias) = folded(unit.convolution, layer)
    let name = unit.convolution.name
    if !(filter.isFinite && bias.isFinite) { outOfRange = outOfRange ?? name }
    return add(
      "Conv", name, [x, initializer("\(name).weight", filter), initializer("\(name).bias", bias)],
      attributes(of: unit.convolution))
  }

  mutating func norm(_ x: String, _ layer: BatchNormLayer) -> String {
    let parameters = ["weight", "bias", "running_mean", "running_var"].map { initializer("\(layer.name).\($0)") }
    return add("BatchNormalization", layer.name, [x] + parameters, [attribute("epsilon", Float(layer.epsilon))])
  }

  mutating func relu(_ x: String, name: String) -> String { add("Relu", name, [x]) }

  mutating func sum(_ x: String, _ y: String, name: String) -> String { add("Add", name, [x, y]) }

  mutating func maxPool(_ x: String, window: Int, stride: Int, padding: Int, name: String) -> String {
    add(
      "MaxPool", name, [x],
      [
        attribute("kernel_shape", [window, window]), attribute("pads", [Int](repeating: padding, count: 4)),
        attribute("strides", [stride, stride]),
      ])
  }

  /// Writes a padded shortcut. Max pooling with a window of one pixel takes every stride-th pixel; then channels of zeros are
  /// added.
  mutating func padShortcut(_ x: String, stride: Int, from inputs: Int, to outputs: Int, name: String) -> String {
    let y = stride == 1 ? x : maxPool(x, window: 1, stride: stride, padding: 0, name: "\(name).subsample")
    let before = (outputs - inputs) / 2
    let pads = [0, before, 0, 0, 0, outputs - inputs - before, 0, 0].map(Int64.init)
    let tensor = Onnx_TensorProto.with {
      $0.name = "\(name).pads"
      $0.dims = [8]
      $0.dataType = ElementType.int64.rawValue
      $0.int64Data = pads
    }
    graph.initializer.append(tensor)
    return add("Pad", name, [y, tensor.name])
  }

  mutating func average(_ x: String, name: String) -> String {
    add("Flatten", "flatten", [add("GlobalAveragePool", name, [x])], [attribute("axis", 1)])
  }

  mutating func linear(_ x: String, _ layer: LinearLayer) -> String {
    let parameters = ["weight", "bias"].map { initializer("\(layer.name).\($0)") }
    return add("Gemm", layer.name, [x] + parameters, [attribute("transB", 1)], output: "logits")
  }

  // MARK: Parts

  /// Returns filter and bias of a convolution with its batch normalization folded in.
  private func folded(_ convolution: Conv2DLayer, _ norm: BatchNormLayer) -> (filter: HostTensor, bias: HostTensor) {
    let filter = weight("\(convolution.name).weight")
    func channels(_ name: String) -> [Double] { weight("\(norm.name).\(name)").doubles }
    let scale = zip(channels("weight"), channels("running_var")).map { $0 / ($1 + norm.epsilon).squareRoot() }
    let bias = zip(channels("bias"), zip(channels("running_mean"), scale)).map { $0 - $1.0 * $1.1 }
    // The filter is [K,C,R,S].
    let perChannel = filter.count / scale.count
    let elements = filter.doubles.enumerated().map { Float($0.element * scale[$0.offset / perChannel]) }
    return (HostTensor(elements, shape: filter.shape), HostTensor(bias.map(Float.init), shape: [bias.count]))
  }

  private func weight(_ name: String) -> HostTensor {
    guard let tensor = weights[name] else { preconditionFailure("[ONNX] \(name) was checked to be there") }
    return tensor
  }

  private mutating func initializer(_ name: String) -> String { initializer(name, weight(name)) }

  private mutating func initializer(_ name: String, _ tensor: HostTensor) -> String {
    graph.initializer.append(
      .with {
        $0.name = name
        $0.dims = tensor.shape.dimensions.map(Int64.init)
        $0.dataType = ElementType.float.rawValue
        $0.rawData = .init(tensor.converted(to: .float32).bytes)
      })
    return name
  }

  /// Adds a node and returns the name of its result.
  /// - Parameter output: name of the result; nil for the node's name.
  private mutating func add(
    _ op: String, _ name: String, _ inputs: [String], _ attributes: [Onnx_AttributeProto] = [], output: String? = nil
  ) -> String {
    graph.node.append(
      .with {
        $0.opType = op
        $0.name = name
        $0.input = inputs
        $0.output = [output ?? name]
        $0.attribute = attributes
      })
    return output ?? name
  }

  private func attributes(of layer: Conv2DLayer) -> [Onnx_AttributeProto] {
    [
      attribute("group", layer.groups), attribute("kernel_shape", [layer.filter.shape[0], layer.filter.shape[1]]),
      attribute("pads", [Int](repeating: layer.padding, count: 4)), attribute("strides", [layer.stride, layer.stride]),
    ]
  }

  private func attribute(_ name: String, _ value: Int) -> Onnx_AttributeProto {
    .with {
      $0.name = name
      $0.type = Int32(Onnx_AttributeType.int.rawValue)
      $0.i = Int64(value)
    }
  }

  private func attribute(_ name: String, _ values: [Int]) -> Onnx_AttributeProto {
    .with {
      $0.name = name
      $0.type = Int32(Onnx_AttributeType.ints.rawValue)
      $0.ints = values.map(Int64.init)
    }
  }

  private func attribute(_ name: String, _ value: Float) -> Onnx_AttributeProto {
    .with {
      $0.name = name
      $0.type = Int32(Onnx_AttributeType.float.rawValue)
      $0.f = value
    }
  }
}
