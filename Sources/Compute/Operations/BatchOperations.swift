/// Batches of images that are taken from a data set.
public protocol BatchOperations {
  /// Builds a batch from a data set that lives on the device.
  ///
  /// images uint8 or float32 [M,H,W,C], labels int32 [M]; plan int32 [N,4] holds (index, top, left, flip) for each sample. Output
  /// pixel (p, q) is the image's pixel (top + p, left + q), with q counted from the right if flip is 1, and zero outside the
  /// image. Then x = pixel · channelScale[c] + channelShift[c]. x [N,P,Q,C], batchLabels int32 [N]. channelMap float [2,C]:
  /// scales, then shifts.
  ///
  /// For erased and mixed images, plan is int32 [N,22] with the columns of ``BatchPlan/mixedColumns``. A view is 0 in its erased
  /// rectangle. In the mixing rectangle, x is the second view alone; elsewhere x is s/2^24 of the first view plus the rest of the
  /// second. All rectangles are in output pixels and may be empty. batchLabels are then int32 [N,3]: (first, second, share of the
  /// first in 2^24ths).
  func gatherBatch(
    images: Tensor, labels: Tensor, plan: Tensor, channelMap: Tensor, into x: Tensor, batchLabels: Tensor) throws
}

extension OperationContract {
  /// Contract of ``BatchOperations/gatherBatch(images:labels:plan:channelMap:into:batchLabels:)``.
  package static func gatherBatch(
    images: Tensor, labels: Tensor, plan: Tensor, channelMap: Tensor, into x: Tensor, batchLabels: Tensor
  ) -> Self {
    require(images, rank: 4, "gatherBatch", "images")
    require(x, rank: 4, "gatherBatch", "x")
    let (n, c) = (x.shape[0], images.shape[3])
    let isMixed = plan.shape.dimensions.last == BatchPlan.mixedColumns
    let columns = isMixed ? BatchPlan.mixedColumns : BatchPlan.viewColumns
    // Only the batch is read, not the whole data set.
    return Self(
      "gatherBatch", "\(images.type) \(images.shape) → \(x.shape)\(isMixed ? ", mixed" : "")",
      [
        .read("images", images, images.shape, .pixel, partialByteCount: x.count * images.type.byteCount),
        .read("labels", labels, [images.shape[0]], .int32, partialByteCount: batchLabels.byteCount),
        .read("plan", plan, [n, columns], .int32, .perImage), .read("channelMap", channelMap, [2, c]),
        .write("x", x, [n, x.shape[1], x.shape[2], c], .activation),
        .write("batchLabels", batchLabels, isMixed ? [n, BatchPlan.labelColumns] : [n], .int32, .perImage),
      ]
    ) {
      try $0.gatherBatch(
        images: $1["images"], labels: $1["labels"], plan: $1["plan"], channelMap: $1["channelMap"], into: $1["x"],
        batchLabels: $1["batchLabels"])
    }
  }
}

extension ContractBackend {
  public func gatherBatch(
    images: Tensor, labels: Tensor, plan: Tensor, channelMap: Tensor, into x: Tensor, batchLabels: Tensor
  ) throws {
    try perform(
      .gatherBatch(images: images, labels: labels, plan: plan, channelMap: channelMap, into: x, batchLabels: batchLabels))
  }
}
