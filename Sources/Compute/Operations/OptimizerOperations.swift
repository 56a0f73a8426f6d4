/// Steps of optimizers, and what they need.
public protocol OptimizerOperations {
  /// Performs one step of stochastic gradient descent over flat arenas of equal count, like PyTorch's `torch.optim.SGD` with zero
  /// dampening: g = λ·(factor·gradient + decay·w); v ← momentum·v + g; w ← w − rate·(nesterov ? g + momentum·v : v).
  /// The factor is that of `use`, and λ = 1 without ``SGDRule/adaptation``.
  ///
  /// Does nothing if the loss scale of `use` says that a gradient is not finite.
  func sgdStep(_ weights: Tensor, gradients: Tensor, velocity: Tensor, _ rule: SGDRule, _ use: GradientUse) throws
  /// Performs one step of Adam with decoupled weight decay over flat arenas of equal count, like PyTorch's `torch.optim.AdamW`
  /// (Loshchilov & Hutter 2019): m ← β₁·m + (1−β₁)·g; s ← β₂·s + (1−β₂)·g²;
  /// w ← (1−rate·decay)·w − rate·m̂/(√ŝ + epsilon), with g = factor·gradient, m̂ = m/(1−β₁ᵗ),
  /// ŝ = s/(1−β₂ᵗ). t is the number of steps performed, including this one.
  ///
  /// Does nothing, and does not count the step in t, if the loss scale of `use` says that a gradient is not finite.
  func adamWStep(_ weights: Tensor, gradients: Tensor, mean: Tensor, square: Tensor, _ rule: AdamWRule, _ use: GradientUse) throws
  /// Computes norms[index] = Σ x² for x of any shape; the other elements stay as they are.
  func squaredNorm(_ x: Tensor, into norms: Tensor, at index: Int) throws
  /// Computes average ← average + share·(x − average) for two arenas of equal count.
  func moveAverage(_ average: Tensor, toward x: Tensor, by share: Double) throws
  /// Updates a dynamic loss scale: checks whether all gradients are finite and chooses the next scale. lossScale
  /// [``LossScale/count``].
  ///
  /// Sets current ← next, and isFinite ← whether no gradient is a NaN or an infinity. Then halves next if one is, or doubles
  /// it after ``LossScale/growthInterval`` steps without one.
  func updateLossScale(_ lossScale: Tensor, gradients: Tensor) throws
}

extension OperationContract {
  /// Contract of ``OptimizerOperations/sgdStep(_:gradients:velocity:_:_:)``.
  package static func sgdStep(
    _ weights: Tensor, gradients: Tensor, velocity: Tensor, _ rule: SGDRule, _ use: GradientUse
  ) -> Self {
    let (factor, maximumNorm) = (use.factor, use.maximumNorm)
    return Self(
      "sgdStep", weights.shape.description([(rule.nesterov, "Nesterov"), (rule.adaptation != nil, "adapted")] + use.options),
      step(weights, gradients, [("velocity", velocity)], use)
    ) {
      try $0.sgdStep(
        $1["weights"], gradients: $1["gradients"], velocity: $1["velocity"], rule,
        $1.gradientUse(factor: factor, maximumNorm: maximumNorm))
    }
  }

  /// Contract of ``OptimizerOperations/adamWStep(_:gradients:mean:square:_:_:)``.
  package static func adamWStep(
    _ weights: Tensor, gradients: Tensor, mean: Tensor, square: Tensor, _ rule: AdamWRule, _ use: GradientUse
  ) -> Self {
    let (factor, maximumNorm) = (use.factor, use.maximumNorm)
    return Self(
      "adamWStep", weights.shape.description(use.options),
      step(weights, gradients, [("mean", mean), ("square", square)], use)
    ) {
      try $0.adamWStep(
        $1["weights"], gradients: $1["gradients"], mean: $1["mean"], square: $1["square"], rule,
        $1.gradientUse(factor: factor, maximumNorm: maximumNorm))
    }
  }

  /// Returns the operands of one step of any optimizer.
  private static func step(
    _ weights: Tensor, _ gradients: Tensor, _ state: [(String, Tensor)], _ use: GradientUse
  ) -> [Operand] {
    [.read("gradients", gradients, weights.shape, .scalar, .onFirstDevice)]
      + (use.lossScale.map { [.read("lossScale", $0, [LossScale.count], .scalar, .onFirstDevice)] } ?? [])
      + (use.norms.map { [.read("norms", $0, $0.shape, .scalar, .onFirstDevice)] } ?? [])
      + ([("weights", weights)] + state).map { .update($0, $1, weights.shape, .scalar, .onFirstDevice) }
  }

  /// Contract of ``OptimizerOperations/squaredNorm(_:into:at:)``.
  package static func squaredNorm(_ x: Tensor, into norms: Tensor, at index: Int) -> Self {
    require(norms, rank: 1, "squaredNorm", "norms")
    require(index >= 0 && index < norms.count, "squaredNorm", "element \(index) of \(norms.shape)")
    return Self(
      "squaredNorm", "\(x.shape)", workspace: .squaredNorm(count: x.count),
      [.read("x", x, x.shape, .scalar, .onFirstDevice), .update("norms", norms, norms.shape, .scalar, .onFirstDevice)]
    ) { try $0.squaredNorm($1["x"], into: $1["norms"], at: index) }
  }

  /// Contract of ``OptimizerOperations/moveAverage(_:toward:by:)``.
  package static func moveAverage(_ average: Tensor, toward x: Tensor, by share: Double) -> Self {
    Self(
      "moveAverage", "\(x.shape)",
      [
        .read("x", x, average.shape, .scalar, .onFirstDevice),
        .update("average", average, average.shape, .scalar, .onFirstDevice),
      ]
    ) { try $0.moveAverage($1["average"], toward: $1["x"], by: share) }
  }

  /// Contract of ``OptimizerOperations/updateLossScale(_:gradients:)``.
  package static func updateLossScale(_ lossScale: Tensor, gradients: Tensor) -> Self {
    Self(
      "updateLossScale", "\(gradients.shape)", workspace: .updateLossScale(count: gradients.count),
      [
        .read("gradients", gradients, gradients.shape, .scalar, .onFirstDevice),
        .update("lossScale", lossScale, [LossScale.count], .scalar, .onFirstDevice),
      ]
    ) { try $0.updateLossScale($1["lossScale"], gradients: $1["gradients"]) }
  }
}

extension GradientUse {
  fileprivate var options: [(holds: Bool, name: String)] { [(lossScale != nil, "scaled"), (maximumNorm != nil, "clipped")] }
}

extension Operands {
  fileprivate func gradientUse(factor: Double, maximumNorm: Double?) -> GradientUse {
    GradientUse(factor: factor, lossScale: optional("lossScale"), maximumNorm: maximumNorm, norms: optional("norms"))
  }
}

extension ContractBackend {
  public func sgdStep(_ weights: Tensor, gradients: Tensor, velocity: Tensor, _ rule: SGDRule, _ use: GradientUse) throws {
    try perform(.sgdStep(weights, gradients: gradients, velocity: velocity, rule, use))
  }

  public func adamWStep(
    _ weights: Tensor, gradients: Tensor, mean: Tensor, square: Tensor, _ rule: AdamWRule, _ use: GradientUse
  ) throws { try perform(.adamWStep(weights, gradients: gradients, mean: mean, square: square, rule, use)) }

  public func squaredNorm(_ x: Tensor, into norms: Tensor, at index: Int) throws {
    try perform(.squaredNorm(x, into: norms, at: index))
  }

  public func moveAverage(_ average: Tensor, toward x: Tensor, by share: Double) throws {
    try perform(.moveAverage(average, toward: x, by: share))
  }

  public func updateLossScale(_ lossScale: Tensor, gradients: Tensor) throws {
    try perform(.updateLossScale(lossScale, gradients: gradients))
  }
}
