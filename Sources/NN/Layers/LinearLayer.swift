import Compute

/// A fully connected layer with bias.
///
/// ```swift
/// let store = ParameterStore()
/// let head = LinearLayer(store.root / "fc", inputs: 64, outputs: 10)
/// try store.allocate(on: backend, seed: 1)
/// func logits(_ x: Variable, _ pass: Pass) throws -> Variable { try head(x, pass) }
/// ```
public struct LinearLayer {
  /// Name in torchvision, for example `fc`.
  public let name: String
  /// Weight [in,out] and bias [out].
  public let weight, bias: Parameter

  /// Declares `weight` and `bias`, both uniform on ±1/√in, as in PyTorch's `nn.Linear`.
  public init(_ scope: Scope, inputs: Int, outputs: Int) {
    let bound = 1 / Double(inputs).squareRoot()
    name = scope.path
    weight = scope.declare("weight", [inputs, outputs], .linearWeight, .uniform(bound: bound))
    bias = scope.declare("bias", [outputs], .vector, .uniform(bound: bound))
  }

  /// Maps x [N,in] → y [N,out].
  public func callAsFunction(_ x: Variable, _ pass: Pass) throws -> Variable {
    try pass.layer(name) { try pass.linear(x, weight: weight, bias: bias) }
  }
}
