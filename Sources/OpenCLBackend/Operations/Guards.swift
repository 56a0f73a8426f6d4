import CKernelParameters
import Compute

extension OpenCLBackend {
  public func guardStep(
    _ flags: Tensor, scale: Tensor, metrics: Tensor, statistics: Tensor, gradients: Tensor?, limit: Int
  ) throws {
    check(.guardStep(flags, scale: scale, metrics: metrics, statistics: statistics, gradients: gradients, limit: limit))
    let ofStatistics = try reduceBlocks(statistics, "find_infinities")
    let ofGradients = try gradients.map { try reduceBlocks($0, "find_infinities") }
    let parts = max(ofStatistics.count, ofGradients?.count ?? 0)
    let group = traits.group(columns: 1, of: 1, rows: parts)
    // Without gradients another buffer takes their place, and is not read.
    try launch(
      KernelSpecialization("optimizer.cl", "guard_step", ["SCALED": gradients == nil ? 1 : 0], ["VW": 1]),
      on: group.grid(columns: 1),
      [
        .buffer((ofGradients ?? ofStatistics).buffer), .buffer(ofStatistics.buffer), .buffer(scale.buffer), .buffer(flags.buffer),
        .buffer(metrics.buffer),
        .structure(
          try guard_t(
            gradients: int32(ofGradients?.count ?? 0), statistics: int32(ofStatistics.count), limit: int32(limit))),
      ])
  }

  public func copyIf(_ flags: Tensor, at index: Int, _ x: Tensor, into y: Tensor) throws {
    check(.copyIf(flags, at: index, x, into: y))
    try elementwise(
      "copy_if", of: "optimizer.cl", y.count, [:], y.type, [.buffer(x.buffer), .buffer(y.buffer), .buffer(flags.buffer)],
      [.int(index)])
  }
}
