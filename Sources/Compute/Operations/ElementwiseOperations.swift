/// Operations on each element, and copies of elements.
public protocol ElementwiseOperations {
  /// Computes y = a + b, then max(·, 0) if relu is true. y may be a or b.
  func add(_ a: Tensor, _ b: Tensor, relu: Bool, into y: Tensor) throws
  /// Computes y = max(x, 0). A NaN stays a NaN. y may be x.
  func relu(_ x: Tensor, into y: Tensor) throws
  /// Computes y = min(max(x, lower), upper). A NaN stays a NaN. y may be x. Both have ``Backend/scalar`` type.
  func clip(_ x: Tensor, lower: Double, upper: Double, into y: Tensor) throws
  /// Copies elements from anywhere in x to anywhere in y. The other elements of y stay as they are. Both have
  /// ``Backend/scalar`` type.
  func rearrange(_ x: Tensor, _ copy: StridedCopy, into y: Tensor) throws
  /// Computes dx = dy where y > 0, else 0. dx may be dy.
  func reluGradient(_ dy: Tensor, y: Tensor, into dx: Tensor) throws
  /// Computes the option-A shortcut of He et al. 2015: takes every stride-th pixel and pads the channels evenly with zeros on
  /// both sides (the smaller half first). x [N,H,W,C] → y [N,⌈H/stride⌉,⌈W/stride⌉,K], K ≥ C.
  func padShortcut(_ x: Tensor, stride: Int, into y: Tensor) throws
  /// Computes the gradient of ``padShortcut(_:stride:into:)``; adds it to the contents of dx if `accumulate` is true.
  func padShortcutGradient(_ dy: Tensor, stride: Int, accumulate: Bool, into dx: Tensor) throws
}

extension OperationContract {
  /// Contract of ``ElementwiseOperations/add(_:_:relu:into:)``.
  package static func add(_ a: Tensor, _ b: Tensor, relu: Bool, into y: Tensor) -> Self {
    Self(
      "add", y.shape.description([(relu, "relu")]),
      [
        .read("a", a, a.shape, .activation), .read("b", b, a.shape, .activation),
        .write("y", y, a.shape, .activation, replaces: ["a", "b"]),
      ]
    ) { try $0.add($1["a"], $1["b"], relu: relu, into: $1["y"]) }
  }

  /// Contract of ``ElementwiseOperations/relu(_:into:)``.
  package static func relu(_ x: Tensor, into y: Tensor) -> Self {
    Self(
      "relu", "\(x.shape)", [.read("x", x, x.shape, .activation), .write("y", y, x.shape, .activation, replaces: ["x"])]
    ) { try $0.relu($1["x"], into: $1["y"]) }
  }

  /// Contract of ``ElementwiseOperations/clip(_:lower:upper:into:)``.
  package static func clip(_ x: Tensor, lower: Double, upper: Double, into y: Tensor) -> Self {
    Self(
      "clip", "\(x.shape) to \(lower) … \(upper)",
      [.read("x", x, x.shape, .scalar, .perImage), .write("y", y, x.shape, .scalar, .perImage, replaces: ["x"])]
    ) { try $0.clip($1["x"], lower: lower, upper: upper, into: $1["y"]) }
  }

  /// Contract of ``ElementwiseOperations/rearrange(_:_:into:)``. Neither tensor may be divided among devices, since a copy from
  /// anywhere to anywhere may cross their shares.
  package static func rearrange(_ x: Tensor, _ copy: StridedCopy, into y: Tensor) -> Self {
    require(
      copy.reach(copy.from) <= x.count && copy.reach(copy.to) <= y.count, "rearrange", "\(copy) of \(x.shape) into \(y.shape)")
    return Self("rearrange", "\(copy)", [.read("x", x, x.shape), .update("y", y, y.shape)]) {
      try $0.rearrange($1["x"], copy, into: $1["y"])
    }
  }

  /// Contract of ``ElementwiseOperations/reluGradient(_:y:into:)``.
  package static func reluGradient(_ dy: Tensor, y: Tensor, into dx: Tensor) -> Self {
    Self(
      "reluGradient", "\(dx.shape)",
      [
        .read("dy", dy, dy.shape, .activation), .read("y", y, dy.shape, .activation),
        .write("dx", dx, dy.shape, .activation, replaces: ["dy"]),
      ]
    ) { try $0.reluGradient($1["dy"], y: $1["y"], into: $1["dx"]) }
  }

  /// Contract of ``ElementwiseOperations/padShortcut(_:stride:into:)``.
  package static func padShortcut(_ x: Tensor, stride: Int, into y: Tensor) -> Self {
    let wide = wideShape("padShortcut", narrow: ("x", x), stride, wide: ("y", y))
    return Self(
      "padShortcut", "\(x.shape) → \(y.shape)", [.read("x", x, x.shape, .activation), .write("y", y, wide, .activation)]
    ) { try $0.padShortcut($1["x"], stride: stride, into: $1["y"]) }
  }

  /// Contract of ``ElementwiseOperations/padShortcutGradient(_:stride:accumulate:into:)``.
  package static func padShortcutGradient(_ dy: Tensor, stride: Int, accumulate: Bool, into dx: Tensor) -> Self {
    let wide = wideShape("padShortcutGradient", narrow: ("dx", dx), stride, wide: ("dy", dy))
    return Self(
      "padShortcutGradient", "\(dx.shape) → \(dy.shape)\(accumulate ? ", added" : "")",
      [
        .read("dy", dy, wide, .activation),
        accumulate ? .update("dx", dx, dx.shape, .activation) : .write("dx", dx, dx.shape, .activation),
      ]
    ) { try $0.padShortcutGradient($1["dy"], stride: stride, accumulate: accumulate, into: $1["dx"]) }
  }

  /// Returns the shape of the side of an option-A shortcut that has more channels.
  private static func wideShape(
    _ name: String, narrow: (name: String, tensor: Tensor), _ stride: Int, wide: (name: String, tensor: Tensor)
  ) -> Shape {
    require(narrow.tensor, rank: 4, name, narrow.name)
    require(wide.tensor, rank: 4, name, wide.name)
    let (from, k) = (narrow.tensor.shape, wide.tensor.shape[3])
    require(stride > 0 && k >= from[3], name, "\(from) to \(wide.tensor.shape), stride \(stride)")
    return [from[0], (from[1] + stride - 1) / stride, (from[2] + stride - 1) / stride, k]
  }
}

extension ContractBackend {
  public func add(_ a: Tensor, _ b: Tensor, relu: Bool, into y: Tensor) throws {
    try perform(.add(a, b, relu: relu, into: y))
  }

  public func relu(_ x: Tensor, into y: Tensor) throws { try perform(.relu(x, into: y)) }

  public func clip(_ x: Tensor, lower: Double, upper: Double, into y: Tensor) throws {
    try perform(.clip(x, lower: lower, upper: upper, into: y))
  }

  public func rearrange(_ x: Tensor, _ copy: StridedCopy, into y: Tensor) throws { try perform(.rearrange(x, copy, into: y)) }

  public func reluGradient(_ dy: Tensor, y: Tensor, into dx: Tensor) throws { try perform(.reluGradient(dy, y: y, into: dx)) }

  public func padShortcut(_ x: Tensor, stride: Int, into y: Tensor) throws {
    try perform(.padShortcut(x, stride: stride, into: y))
  }

  public func padShortcutGradient(_ dy: Tensor, stride: Int, accumulate: Bool, into dx: Tensor) throws {
    try perform(.padShortcutGradient(dy, stride: stride, accumulate: accumulate, into: dx))
  }
}

extension Shape {
  /// Returns the shape, and the names of the options that hold.
  func description(_ options: [(holds: Bool, name: String)]) -> String {
    ([description] + options.filter(\.holds).map(\.name)).joined(separator: ", ")
  }
}
