import CKernelParameters
import Compute

extension OpenCLBackend {
  public func gatherBatch(
    images: Tensor, labels: Tensor, plan: Tensor, channelMap: Tensor, into x: Tensor, batchLabels: Tensor
  ) throws {
    check(.gatherBatch(images: images, labels: labels, plan: plan, channelMap: channelMap, into: x, batchLabels: batchLabels))
    let (from, to) = (images.shape, x.shape)
    let isMixed = plan.shape[1] == BatchPlan.mixedColumns
    let grid = traits.grid(images: to[0], rows: to[1], vectors: to[2] * to[3])
    var kernel = KernelSpecialization("gather_batch.cl", isMixed ? "gather_mixed" : "gather_batch", x.type.storage)
    kernel.add("PIXEL", type: images.type == .uint8 ? "uchar" : "float")
    try launch(
      kernel, on: grid,
      [
        .buffer(images.buffer), .buffer(labels.buffer), .buffer(plan.buffer), .buffer(channelMap.buffer), .buffer(x.buffer),
        .buffer(batchLabels.buffer),
        .structure(try gather_t(h: int32(from[1]), w: int32(from[2]), c: int32(from[3]), q: int32(to[2]))),
      ])
  }
}
