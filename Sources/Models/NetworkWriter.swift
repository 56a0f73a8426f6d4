import Compute
import NN

/// Writes a network in another format. It receives the layers in the order in which they run.
public protocol NetworkWriter {
  /// Placeholder for a result until another layer takes it.
  associatedtype Value

  mutating func convolution(_ x: Value, _ layer: Conv2DLayer) throws -> Value
  /// Writes a convolution and the batch normalization of its result.
  mutating func unit(_ x: Value, _ unit: ConvolutionUnit) throws -> Value
  /// Writes a batch normalization that does not belong to a unit.
  mutating func norm(_ x: Value, _ layer: BatchNormLayer) throws -> Value
  mutating func relu(_ x: Value, name: String) throws -> Value
  mutating func sum(_ x: Value, _ y: Value, name: String) throws -> Value
  mutating func maxPool(_ x: Value, window: Int, stride: Int, padding: Int, name: String) throws -> Value
  /// Writes the option-A shortcut from `inputs` to `outputs` channels; see
  /// ``ElementwiseOperations/padShortcut(_:stride:into:)``.
  mutating func padShortcut(_ x: Value, stride: Int, from inputs: Int, to outputs: Int, name: String) throws -> Value
  /// Writes the mean over the pixels, [N,C].
  mutating func average(_ x: Value, name: String) throws -> Value
  mutating func linear(_ x: Value, _ layer: LinearLayer) throws -> Value
}

extension ResNet {
  /// Passes the network's layers to a writer.
  /// - Returns: the placeholder for the logits.
  public func write<Writer: NetworkWriter>(_ images: Writer.Value, to writer: inout Writer) throws -> Writer.Value {
    var x =
      switch stem {
      case .unit(let unit): try writer.relu(try writer.unit(images, unit), name: "relu")
      case .convolution(let convolution): try writer.convolution(images, convolution)
      }
    if architecture.stem == .imageNet { x = try writer.maxPool(x, window: 3, stride: 2, padding: 1, name: "maxpool") }
    for block in blocks { x = try block.write(x, to: &writer) }
    if let lastNorm { x = try writer.relu(try writer.norm(x, lastNorm), name: "relu.last") }
    return try writer.linear(try writer.average(x, name: "avgpool"), head)
  }
}

extension ResidualBlock {
  func write<Writer: NetworkWriter>(_ x: Writer.Value, to writer: inout Writer) throws -> Writer.Value {
    let residual: Writer.Value? =
      switch shortcut {
      case .none: nil
      case .identity: x
      case .padding(let stride, let channels):
        try writer.padShortcut(
          x, stride: stride, from: units[0].convolution.inputs, to: channels, name: "\(name).shortcut")
      case .projection(let unit): try writer.unit(x, unit)
      }
    var y = x
    for (index, unit) in units.enumerated() {
      y = try writer.unit(y, unit)
      if index < units.count - 1 { y = try writer.relu(y, name: "\(name).relu\(index + 1)") }
    }
    if let residual { y = try writer.sum(y, residual, name: "\(name).add") }
    return try writer.relu(y, name: "\(name).relu")
  }
}

extension PreActivationBlock {
  func write<Writer: NetworkWriter>(_ x: Writer.Value, to writer: inout Writer) throws -> Writer.Value {
    let activated = try writer.relu(try writer.norm(x, norm), name: "\(name).relu1")
    let residual =
      switch shortcut {
      case .identity: x
      case .padding(let stride, let channels):
        try writer.padShortcut(
          activated, stride: stride, from: norm.scale.shape[0], to: channels, name: "\(name).shortcut")
      case .projection(let convolution): try writer.convolution(activated, convolution)
      }
    var y = activated
    for (index, unit) in units.enumerated() { y = try writer.relu(try writer.unit(y, unit), name: "\(name).relu\(index + 2)") }
    return try writer.sum(try writer.convolution(y, last), residual, name: "\(name).add")
  }
}
