import Compute
import Kernels

extension OpenCLBackend {
  public func gatherBatch(
    images: Tensor, labels: Tensor, plan: Tensor, channelMap: Tensor, into x: Tensor, batchLabels: Tensor
  ) throws {
    let (from, to) = (images.shape, x.shape)
    let isMixed = plan.count == BatchPlan.mixedColumns * to[0]
    precondition(
      from.rank == 4 && to.rank == 4 && from[3] == to[3] && (isMixed || plan.count == BatchPlan.viewColumns * to[0])
        && channelMap.count == 2 * to[3] && labels.count == from[0]
        && batchLabels.count == to[0] * (isMixed ? BatchPlan.labelColumns : 1),
      "[gatherBatch] \(from) → \(to), plan \(plan.shape), channel map \(channelMap.shape), labels \(labels.shape), \(batchLabels.shape)"
    )
    precondition(images.type == .uint8 || images.type == .float32, "[gatherBatch] images of \(images.type)")
    let grid = traits.grid(images: to[0], rows: to[1], vectors: to[2] * to[3])
    var specialisation = Specialisation(.gatherBatch, isMixed ? "gather_mixed" : "gather_batch", x.type.storage)
    specialisation.defines.append(.init(name: "PIXEL", value: images.type == .uint8 ? "uchar" : "float"))
    try launch(
      specialisation, on: grid,
      [
        .buffer(images.buffer), .buffer(labels.buffer), .buffer(plan.buffer), .buffer(channelMap.buffer), .buffer(x.buffer),
        .buffer(batchLabels.buffer), .int(from[1]), .int(from[2]), .int(from[3]), .int(to[2]),
      ])
  }
}
