import Checkpoints
import Compute
import Datasets
import Support

/// Interface of a model as a classifier of images: the input and output of its graph.
struct ImageInterface {
  let input: Graph.Input
  let output: String
  /// Whether the graph too takes images as [N,H,W,C], and not as [N,C,H,W].
  let isChannelsLast: Bool
  let channels: Int
  /// Batch size that the graph takes; nil for any.
  let batch: Int?
  /// Height and width. If only one of them is fixed, the other is the same; nil if neither is fixed.
  let size: (height: Int, width: Int)?
  /// Whether the graph ends with a softmax.
  let givesProbabilities: Bool

  /// - Throws: ``Failure`` if the graph does not take one batch of images and give one result.
  init(_ graph: Graph) throws {
    guard graph.inputs.count == 1, graph.outputs.count == 1 else {
      throw Failure(
        .unsupported,
        "it has \(graph.inputs.count) inputs and \(graph.outputs.count) outputs: a classifier of images has one of each")
    }
    (input, output) = (graph.inputs[0], graph.outputs[0])
    let shape = input.shape
    guard shape.count == 4 else {
      throw Failure(.unsupported, "input '\(shortened(input.name))' has \(shape.count) dimensions: images have four")
    }
    let firsts = Self.firstNodes(behind: input.name, graph) { !Self.keepingChannels.contains($0.op) }
    isChannelsLast = firsts.contains(where: Self.bringsChannelsFirst)
    let (c, h, w) = isChannelsLast ? (shape[3], shape[1], shape[2]) : (shape[1], shape[2], shape[3])
    guard let c = try c ?? Self.channelsOfConvolutions(input.name, graph) else {
      throw Failure(
        .unsupported,
        "input '\(shortened(input.name))' does not say how many channels images have, and no convolution that reads it does")
    }
    (channels, batch) = (c, shape[0])
    size = (h ?? w).flatMap { height in (w ?? h).map { (height, $0) } }
    givesProbabilities = Self.endsWithSoftmax(output, graph)
  }

  /// Operators that keep the dimension of the channels and their number.
  private static let keepingChannels: Set = [
    "Identity", "Cast", "Add", "Sub", "Mul", "Div", "Sum", "Pad", "Clip", "Dropout", "BatchNormalization", "Relu",
  ]

  private static func bringsChannelsFirst(_ node: Node) -> Bool {
    node.op == "Transpose" && (try? node.ints("perm")) == [0, 3, 1, 2]
  }

  /// Finds the first node on each path from a value for which `isFirst` holds.
  private static func firstNodes(behind value: String, _ graph: Graph, where isFirst: (Node) -> Bool) -> [Node] {
    var (found, seen, open) = ([Node](), Set<Int>(), [value])
    while let name = open.popLast() {
      for node in (graph.consumers[name] ?? []).map({ graph.nodes[$0] }) where seen.insert(node.index).inserted {
        if isFirst(node) { found.append(node) } else { open.append(node.outputs[0]) }
      }
    }
    return found
  }

  /// Returns the number of channels that the first convolution of the images takes; nil if there is no convolution with a known
  /// filter.
  private static func channelsOfConvolutions(_ input: String, _ graph: Graph) throws -> Int? {
    let firsts = firstNodes(behind: input, graph) { !keepingChannels.contains($0.op) && !bringsChannelsFirst($0) }
    let convolution = firsts.first { $0.op == "Conv" }
    guard let convolution, let filter = shape(of: convolution.inputs[1], graph), filter.count == 4 else { return nil }
    let (channels, overflows) = filter[1].multipliedReportingOverflow(by: try convolution.int("group", default: 1))
    return overflows || channels < 1 ? nil : channels
  }

  /// Returns the shape of a constant, or of a constant that nodes pass on in the same shape; nil for a computed value.
  private static func shape(of constant: String, _ graph: Graph) -> [Int]? {
    let makers = makers(graph)
    var name = constant
    while true {
      if let known = graph.initializers[name] { return known.shape }
      guard let maker = makers[name] else { return nil }
      if case .tensor(let constant)? = maker.attributes["value"], maker.op == "Constant" { return constant.shape }
      guard ["Identity", "Cast"].contains(maker.op) else { return nil }
      name = maker.inputs[0]
    }
  }

  /// Returns the node that makes each value.
  private static func makers(_ graph: Graph) -> [String: Node] {
    Dictionary(graph.nodes.flatMap { node in node.outputs.map { ($0, node) } }) { $1 }
  }

  private static func endsWithSoftmax(_ output: String, _ graph: Graph) -> Bool {
    let makers = makers(graph)
    var name = output
    while let node = makers[name] {
      if node.op == "Softmax" { return true }
      guard ["Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Cast"].contains(node.op) else { return false }
      name = node.inputs[0]
    }
    return false
  }

  /// Returns the shape that a batch [N,H,W,C] has for the graph, and the order of its dimensions in memory.
  func shape(of images: Shape) -> (shape: [Int], order: [Int]?) {
    let x = images.dimensions
    return isChannelsLast ? (x, nil) : ([x[0], x[3], x[1], x[2]], Windows.order)
  }
}

/// Properties of a classifier in an ONNX file that are known before it is put on a device.
public struct ONNXDescription: Sendable {
  /// Name of the file without its extension, for messages.
  public let name: String
  /// Number of channels of the images.
  public let channels: Int
  /// Height and width that images must have; nil if any size will do.
  public let fixedSize: (height: Int, width: Int)?
  /// Class names in the order of the outputs; numbers if the file names no classes.
  public let classes: [String]
  /// Whether the file names the classes.
  public let namesClasses: Bool
  /// Metadata of the file; nil if this project did not write it.
  public let training: Weights.Description?
}

extension ONNXModel {
  /// Describes the model as a classifier of images.
  /// - Throws: ``Failure`` if it is not a classifier of images, or cannot run.
  public func description() throws -> ONNXDescription {
    try about {
      let images = try ImageInterface(graph)
      let training = try Weights.Description(metadata: metadata)
      let size = images.size ?? training?.imageSize.map { ($0[0], $0[1]) } ?? (224, 224)
      let (_, count) = try plan(images, [images.batch ?? 1, size.0, size.1, images.channels])
      let named = training?.classes.flatMap { $0.count == count ? $0 : nil }
      let file = path.split(separator: "/").last ?? "model"
      return ONNXDescription(
        name: shortened(String(file.hasSuffix(".onnx") ? file.dropLast(5) : file)), channels: images.channels,
        fixedSize: images.size, classes: named ?? (0..<count).map(String.init), namesClasses: named != nil, training: training)
    }
  }

  /// Returns the convolutions that a device computes for a batch [N,H,W,C], for tuning.
  /// - Throws: ``Failure`` if the graph does not take such images.
  public func convolutions(images: Shape) throws -> [ConvolutionWork] {
    try about {
      let interface = try ImageInterface(graph)
      let batch = Shape([interface.batch ?? images[0]] + images.dimensions.dropFirst())
      return try plan(interface, batch).plan.convolutions.map { ConvolutionWork(.inference, $0) }
    }
  }

  /// Plans the graph for a batch of images.
  /// - Returns: the plan, and the number of classes.
  /// - Throws: ``Failure`` if the graph does not take such images or its result is not one row for each image.
  func plan(_ interface: ImageInterface, _ images: Shape) throws -> (plan: Plan, classes: Int) {
    let plan = try Planner.plan(graph, inputs: [interface.input.name: interface.shape(of: images)])
    let shape = plan.outputs[0].value.shape
    guard case .computed = plan.outputs[0].value, shape.first == images[0], shape.dropFirst(2).allSatisfy({ $0 == 1 }),
      shape.count >= 2
    else {
      throw Failure(
        .unsupported,
        "output '\(shortened(interface.output))' is \(describe(shape)) for \(images[0]) images: a classifier gives a row of "
          + "classes for each")
    }
    return (plan, shape[1])
  }

  /// Runs `body` and names the file in its failure.
  func about<Result>(_ body: () throws -> Result) throws -> Result {
    do { return try body() } catch let failure as Failure { throw failure.about(path) }
  }
}
