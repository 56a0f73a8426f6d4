import Compute

/// Operations that their contracts describe: on shares of the images, on every device, or on the first.
extension ParallelBackend {
  package func perform(_ operation: OperationContract) throws {
    try perform(operation) { device, operands in try operation.call(device, operands) }
  }

  /// Performs a call on the devices that have a part in it.
  /// - Parameter body: performs the call on one device, with that device's parts of the operands.
  func perform(_ operation: OperationContract, _ body: (any ShardBackend, Operands) throws -> Void) throws {
    func parts(_ part: Part) -> Operands { Operands(operation.operands.map { ($0.name, part($0.tensor)) }) }
    let isSplit = isSplit(operation)
    let (results, reads) = (operation.operands.filter { $0.role != .read }, operation.operands.filter { $0.role != .write })
    if operation.operands.allSatisfy({ $0.layout == .onFirstDevice }) {
      let writes = results.map(\.tensor)
      return try onFirst(reads: reads.map(\.tensor), writes: writes) { device, part in try body(device, parts(part)) }
    }
    let sums = results.filter { $0.layout == .sumOverImages }
    // Each device adds to its own summand.
    let growingSums = isSplit ? sums.filter { $0.role == .update }.map(\.tensor) : []
    for sum in growingSums { try beginSum(in: sum) }
    try each(
      reads: reads.filter { !(isSplit && $0.layout == .sumOverImages) }.map(\.tensor),
      writes: results.filter { $0.layout != .sumOverImages }.map(\.tensor),
      sums: sums.filter { $0.role == .write || !isSplit }.map(\.tensor)
    ) { device, part, _ in try body(device, parts(part)) }
    for sum in growingSums { set(.summands, sum) }
  }

  /// Returns whether the images of a call's operands are divided among the devices.
  /// - Precondition: they are divided in all operands that contain images, or in none; no other operand is divided.
  private func isSplit(_ operation: OperationContract) -> Bool {
    var batches: Set<Int?> = []
    for operand in operation.operands {
      let images = images(of: operand.tensor)
      if operand.layout == .perImage || operand.layout == .asAllocated {
        batches.insert(images)
      } else {
        precondition(images == nil, "[\(operation.name)] \(operand.name) is divided among the devices")
      }
    }
    precondition(batches.count <= 1, "[\(operation.name)] \(batches.count) batches in one operation")
    return batches.contains { $0 != nil }
  }

  /// Prepares a replicated tensor, to which each device will add its own summand.
  private func beginSum(in tensor: Tensor) throws {
    if isSum(tensor) { return }
    try settle(tensor, onAll: false)
    for index in members.indices.dropFirst() { try members[index].fill(part(of: tensor, index), with: 0) }
  }
}

/// Operations that need more than their contracts.
extension ParallelBackend {
  package func convolution(
    _ x: Tensor, prepared: Tensor, _ geometry: Conv2D, _ epilogue: ConvolutionEpilogue, into y: Tensor
  ) throws {
    precondition(images(of: x) != nil, "[convolution] filters are prepared for shares of a batch")
    try perform(.convolution(x, prepared: prepared, plannedFilterCount(geometry, x.type), geometry, epilogue, into: y)) {
      device, operands in
      let geometry = geometry.batch(of: operands["x"].shape[0])
      try device.convolution(
        operands["x"], prepared: own(operands["prepared"], device.plannedFilterCount(geometry, x.type)), geometry,
        ConvolutionEpilogue(
          scale: operands["scale"], bias: operands["bias"], residual: operands.optional("residual"), relu: epilogue.relu),
        into: operands["y"])
    }
  }

  /// Prepares the filter on each device for the geometry of its share. The forms differ; the memory suffices for the largest of
  /// them.
  package func prepareFilter(_ filter: Tensor, _ geometry: Conv2D, _ storage: DataType, into prepared: Tensor) throws {
    let shares = split.shares(of: geometry.n)
    try each(reads: [filter], writes: [prepared]) { device, part, index in
      if shares[index].isEmpty { return }
      let geometry = geometry.batch(of: shares[index].count)
      try device.prepareFilter(
        part(filter), geometry, storage, into: own(part(prepared), device.preparedFilterCount(geometry, storage)))
    }
  }

  package func preparedFilterCount(_ geometry: Conv2D, _ storage: DataType) throws -> Int {
    try largestShare(of: geometry) { device, share in try device.preparedFilterCount(share, storage) }
  }

  package func plannedFilterCount(_ geometry: Conv2D, _ storage: DataType) -> Int {
    largestShare(of: geometry) { device, share in device.plannedFilterCount(share, storage) }
  }

  /// Returns the largest count that a device needs for its share of a batch.
  private func largestShare(
    of geometry: Conv2D, _ count: (any ShardBackend, Conv2D) throws -> Int
  ) rethrows -> Int {
    try zip(members, split.shares(of: geometry.n)).map { device, share in
      share.isEmpty ? 0 : try count(device, geometry.batch(of: share.count))
    }.max() ?? 0
  }

  /// Returns the part of a prepared filter's memory that one device's form occupies.
  private func own(_ prepared: Tensor, _ count: Int) -> Tensor {
    Tensor(shape: [count], type: prepared.type, storage: prepared.storage)
  }

  package func crossEntropy(
    _ logits: Tensor, labels: Tensor, smoothing: Double, metrics: Tensor, gradient: Tensor?, lossScale: Tensor?
  ) throws {
    try perform(
      .crossEntropy(
        logits, labels: labels, smoothing: smoothing, metrics: metrics, gradient: gradient, lossScale: lossScale)
    ) {
      try $0.crossEntropy(
        $1["logits"], labels: $1["labels"], smoothing: smoothing, metrics: $1["metrics"], gradient: $1.optional("gradient"),
        lossScale: $1.optional("lossScale"), images: logits.shape[0])
    }
  }

  // MARK: Optimizer

  package func sgdStep(_ weights: Tensor, gradients: Tensor, velocity: Tensor, _ rule: SGDRule, _ use: GradientUse) throws {
    try perform(.sgdStep(weights, gradients: gradients, velocity: velocity, rule, use))
    // Copies all weights at once, not layer by layer on their next use.
    try settle(weights, onAll: true)
  }

  package func adamWStep(
    _ weights: Tensor, gradients: Tensor, mean: Tensor, square: Tensor, _ rule: AdamWRule, _ use: GradientUse
  ) throws {
    try perform(.adamWStep(weights, gradients: gradients, mean: mean, square: square, rule, use))
    try settle(weights, onAll: true)
  }
}
