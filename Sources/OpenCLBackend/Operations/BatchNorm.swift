import CKernelParameters
import Compute

extension OpenCLBackend {
  /// Division of an operation over x [rows, channels] into vectors of channels and chunks of rows.
  private struct Cut {
    let rows, channels, width: Int
    /// Number of chunks in operations that sum over rows, and in operations that sum nothing.
    let chunks, pieces: Int
    /// Work-items of a chunk, and work-items that merge chunks.
    let group, mergers: WorkGroup
    let mergerWidth: Int

    init(_ x: Tensor, channels: Int, _ traits: DeviceTraits) {
      self.init(rows: x.count / channels, channels: channels, traits)
    }

    init(rows: Int, channels: Int, _ traits: DeviceTraits) {
      self.rows = rows
      self.channels = channels
      width = traits.vectorWidth(dividing: channels)
      group = traits.group(columns: channels / width, of: width, rows: rows)
      guard let lanes = group.lanes else {
        // 256 rows of a vector of 16 floats are 16 KB, which stay in a core's L1 cache.
        chunks = (rows + 255) / 256
        (pieces, mergers, mergerWidth) = (chunks, .alone, width)
        return
      }
      // There are as many chunks as fill the device with work-groups. But a chunk must not be so small that merging takes as long
      // as summing, or that the first chunk's mean, to which the others are relative, is a poor estimate.
      let across = (channels / width + lanes - 1) / lanes
      let wanted = 2 * traits.wantedItems / (lanes * group.rows * across)
      chunks = max(1, min(wanted, rows / max(64, 8 * group.rows)))
      // Each piece has few rows. There is a limit because some drivers count work-groups of a second dimension in 16 bits.
      pieces = min(1 << 15, (rows + 4 * group.rows - 1) / (4 * group.rows))
      // Memory moves at least eight floats at a time. With eight lanes the most work-items are left to share the chunks. Their
      // number is constant, so that few programs serve all sizes.
      mergers = traits.group(columns: 8, of: 1, rows: traits.workGroupSize, lanes: 8)
      mergerWidth = 1
    }

    /// Work-items for each chunk, for each channel of the merged chunks, and for each piece.
    var grid: WorkGroup.Grid { group.grid(columns: channels / width, blocks: chunks) }
    var mergerGrid: WorkGroup.Grid { mergers.grid(columns: channels / mergerWidth) }
    var pieceGrid: WorkGroup.Grid { group.grid(columns: group.lanes == nil ? 1 : channels / width, blocks: pieces) }

    /// Returns the sizes as the kernels take them.
    /// - Parameters:
    ///   - allRows: rows of all devices; nil if these are all.
    ///   - merging: number of chunks that are merged; nil for ``chunks``.
    func parameters(
      allRows: Int? = nil, merging: Int? = nil, epsilon: Double = 0, momentum: Double = 0
    ) throws -> batch_norm_t {
      try batch_norm_t(
        rows: int32(rows), allRows: int32(allRows ?? rows), channels: int32(channels), chunks: int32(merging ?? chunks),
        epsilon: Float(epsilon), momentum: Float(momentum))
    }

    /// - Parameter figures: number of values kept for each chunk and channel.
    func workspaceByteCount(figures: Int) -> Int { chunks * figures * channels * 4 }
  }

  public func batchNormStatistics(_ x: Tensor, _ statistics: BatchNormStatistics) throws {
    check(.batchNormStatistics(x, statistics))
    let cut = Cut(x, channels: statistics.mean.count, traits)
    let partial = try tensor([cut.chunks, 3, cut.channels])
    try takeMoments(of: x, into: partial)
    try mergeMoments(partial, rows: cut.rows, statistics)
  }

  /// Computes the moments of the chunks of x [..., C] into partial [chunks,3,C], with as many chunks as
  /// ``momentChunks(rows:channels:)`` returns.
  func takeMoments(of x: Tensor, into partial: Tensor) throws {
    let cut = Cut(x, channels: partial.shape[2], traits)
    try launch(
      KernelSpecialization("batch_norm.cl", "statistics_of_chunks", ["VW": cut.width], x.type.storage), on: cut.grid,
      [.buffer(x.buffer), .buffer(partial.buffer), .structure(try cut.parameters())])
  }

  func momentChunks(rows: Int, channels: Int) -> Int { Cut(rows: rows, channels: channels, traits).chunks }

  /// Merges the moments of chunks into those of all `rows` rows: partial [chunks,3,C] → moments [3,C].
  func mergeChunks(_ partial: Tensor, rows: Int, into moments: Tensor) throws {
    let (chunks, channels) = (partial.shape[0], partial.shape[2])
    let cut = Cut(rows: rows, channels: channels, traits)
    try launch(
      KernelSpecialization("batch_norm.cl", "merge_chunks", ["VW": cut.mergerWidth]), on: cut.mergerGrid,
      [.buffer(partial.buffer), .buffer(moments.buffer), .structure(try cut.parameters(merging: chunks))])
  }

  public func mergeMoments(_ partial: Tensor, rows: Int, _ statistics: BatchNormStatistics) throws {
    check(.mergeMoments(partial, rows: rows, statistics))
    let (chunks, channels) = (partial.shape[0], partial.shape[2])
    let cut = Cut(rows: rows, channels: channels, traits)
    try launch(
      KernelSpecialization("batch_norm.cl", "statistics", ["VW": cut.mergerWidth]), on: cut.mergerGrid,
      [
        .buffer(partial.buffer), .buffer(statistics.mean.buffer), .buffer(statistics.inverseDeviation.buffer),
        .buffer(statistics.runningMean.buffer), .buffer(statistics.runningVariance.buffer),
        .structure(
          try cut.parameters(merging: chunks, epsilon: statistics.epsilon, momentum: statistics.momentum)),
      ])
  }

  public func inverseDeviation(ofVariance variance: Tensor, epsilon: Double, into inverseDeviation: Tensor) throws {
    check(.inverseDeviation(ofVariance: variance, epsilon: epsilon, into: inverseDeviation))
    let width = traits.vectorWidth(dividing: variance.count)
    try launch(
      KernelSpecialization("batch_norm.cl", "inverse_deviation", ["VW": width]), global: [variance.count / width],
      [.buffer(variance.buffer), .buffer(inverseDeviation.buffer), .float(Float(epsilon))])
  }

  public func foldBatchNorm(_ norm: BatchNormEstimates, epsilon: Double, scale: Tensor, bias: Tensor) throws {
    check(.foldBatchNorm(norm, epsilon: epsilon, scale: scale, bias: bias))
    let count = norm.mean.count
    let width = traits.vectorWidth(dividing: count)
    try launch(
      KernelSpecialization("batch_norm.cl", "fold", ["VW": width]), global: [count / width],
      [norm.mean, norm.variance, norm.scale, norm.bias, scale, bias].map { .buffer($0.buffer) } + [.float(Float(epsilon))])
  }

  public func batchNorm(_ x: Tensor, _ channels: BatchNormChannels, residual: Tensor?, relu: Bool, into y: Tensor) throws {
    check(.batchNorm(x, channels, residual: residual, relu: relu, into: y))
    let cut = Cut(x, channels: channels.mean.count, traits)
    try launch(
      KernelSpecialization(
        "batch_norm.cl", "normalize_channels", ["VW": cut.width, "RELU": relu ? 1 : 0, "RESIDUAL": residual == nil ? 0 : 1],
        x.type.storage),
      on: cut.pieceGrid,
      [
        .buffer(x.buffer), .buffer(channels.mean.buffer), .buffer(channels.inverseDeviation.buffer),
        .buffer(channels.scale.buffer),
        .buffer(channels.bias.buffer), .buffer((residual ?? x).buffer), .buffer(y.buffer), .structure(try cut.parameters()),
      ])
  }

  public func batchNormGradient(
    _ dy: Tensor, x: Tensor, mask: ReLUMask, _ channels: BatchNormChannels, into dx: Tensor, dscale: Tensor, dbias: Tensor,
    dresidual: Tensor?
  ) throws {
    check(.batchNormGradient(dy, x: x, mask: mask, channels, into: dx, dscale: dscale, dbias: dbias, dresidual: dresidual))
    try batchNormGradientSums(dy, x: x, mask: mask, channels, dscale: dscale, dbias: dbias, dresidual: dresidual)
    // With a residual the masked gradient has been stored already, so that neither dy nor y is read again.
    try batchNormInputGradient(
      dresidual ?? dy, x: x, mask: dresidual == nil ? mask : .none, channels, dscale: dscale, dbias: dbias,
      rows: x.count / channels.mean.count, into: dx)
  }

  public func batchNormGradientSums(
    _ dy: Tensor, x: Tensor, mask: ReLUMask, _ channels: BatchNormChannels, dscale: Tensor, dbias: Tensor, dresidual: Tensor?
  ) throws {
    check(.batchNormGradientSums(dy, x: x, mask: mask, channels, dscale: dscale, dbias: dbias, dresidual: dresidual))
    let cut = Cut(x, channels: channels.mean.count, traits)
    let partial = try tensor([cut.chunks, 2, cut.channels])
    let masked = masked(dy, x, mask, channels)
    try launch(
      KernelSpecialization(
        "batch_norm.cl", "gradient_sums_of_chunks", ["VW": cut.width, "RELU": masked.relu, "RESIDUAL": dresidual == nil ? 0 : 1],
        x.type.storage),
      on: cut.grid,
      masked.arguments + [
        .buffer((dresidual ?? dy).buffer), .buffer(partial.buffer), .structure(try cut.parameters()),
      ])
    try launch(
      KernelSpecialization("batch_norm.cl", "gradient_sums", ["VW": cut.mergerWidth]), on: cut.mergerGrid,
      [
        .buffer(partial.buffer), .buffer(channels.inverseDeviation.buffer), .buffer(dscale.buffer), .buffer(dbias.buffer),
        .structure(try cut.parameters()),
      ])
  }

  public func batchNormInputGradient(
    _ dy: Tensor, x: Tensor, mask: ReLUMask, _ channels: BatchNormChannels, dscale: Tensor, dbias: Tensor, rows: Int,
    into dx: Tensor
  ) throws {
    check(
      .batchNormInputGradient(dy, x: x, mask: mask, channels, dscale: dscale, dbias: dbias, rows: rows, into: dx))
    let cut = Cut(x, channels: channels.mean.count, traits)
    let masked = masked(dy, x, mask, channels)
    try launch(
      KernelSpecialization("batch_norm.cl", "gradient", ["VW": cut.width, "RELU": masked.relu], x.type.storage),
      on: cut.pieceGrid,
      masked.arguments + [
        .buffer(dscale.buffer), .buffer(dbias.buffer), .buffer(dx.buffer), .structure(try cut.parameters(allRows: rows)),
      ])
  }

  /// Returns the arguments from which the kernels of the backward pass compute the masked gradient g: dy, x, y and the channels'
  /// values.
  private func masked(
    _ dy: Tensor, _ x: Tensor, _ mask: ReLUMask, _ channels: BatchNormChannels
  ) -> (relu: Int, arguments: [Argument]) {
    let (relu, y) =
      switch mask {
      case .none: (0, x)
      case .result(let y): (1, y)
      case .recomputed: (2, x)
      }
    let tensors = [dy, x, y, channels.mean, channels.inverseDeviation, channels.scale, channels.bias]
    return (relu, tensors.map { .buffer($0.buffer) })
  }

  func statisticsWorkspace(rows: Int, channels: Int) -> Int {
    Cut(rows: rows, channels: channels, traits).workspaceByteCount(figures: 3)
  }

  func gradientWorkspace(rows: Int, channels: Int) -> Int {
    Cut(rows: rows, channels: channels, traits).workspaceByteCount(figures: 2)
  }
}
