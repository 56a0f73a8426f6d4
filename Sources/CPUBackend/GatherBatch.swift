import Compute

extension CPUBackend {
  public func gatherBatch(
    images: Tensor, labels: Tensor, plan: Tensor, channelMap: Tensor, into x: Tensor, batchLabels: Tensor
  ) {
    let batch = Batch(images: images, labels: labels, plan: plan, channelMap: channelMap, x: x, batchLabels: batchLabels)
    switch images.type {
    case .uint8: isDouble ? gather(UInt8.self, Double.self, batch) : gather(UInt8.self, Float.self, batch)
    case .float32: isDouble ? gather(Float.self, Double.self, batch) : gather(Float.self, Float.self, batch)
    default: isDouble ? gather(Double.self, Double.self, batch) : gather(Double.self, Float.self, batch)
    }
  }
}

private struct Batch {
  let images, labels, plan, channelMap, x, batchLabels: Tensor
}

private func gather<Pixel: CPUElement, T: CPUScalar>(_: Pixel.Type, _: T.Type, _ batch: Batch) {
  let (imageShape, shape) = (batch.images.shape, batch.x.shape)
  precondition(imageShape.rank == 4 && shape.rank == 4, "[gatherBatch] images \(imageShape), batch \(shape): not [N,H,W,C]")
  let (m, h, w, c) = (imageShape[0], imageShape[1], imageShape[2], imageShape[3])
  let (n, p, q) = (shape[0], shape[1], shape[2])
  let images = pointer(batch.images, imageShape, "gatherBatch", to: Pixel.self)
  let labels = pointer(batch.labels, [m], "gatherBatch", to: Int32.self)
  let plan = pointer(batch.plan, [n, 4], "gatherBatch", to: Int32.self)
  let scale = pointer(batch.channelMap, [2, c], "gatherBatch", to: T.self)
  let shift = scale + c
  let x = pointer(batch.x, [n, p, q, c], "gatherBatch", to: T.self)
  let batchLabels = pointer(batch.batchLabels, [n], "gatherBatch", to: Int32.self)
  for sample in 0..<n {
    let (index, top, left) = (Int(plan[sample * 4]), Int(plan[sample * 4 + 1]), Int(plan[sample * 4 + 2]))
    let flipped = plan[sample * 4 + 3] != 0
    precondition(0 <= index && index < m, "[gatherBatch] index \(index) is not among \(m) images")
    batchLabels[sample] = labels[index]
    for row in 0..<p {
      for column in 0..<q {
        let (y0, x0) = (top + row, left + (flipped ? q - 1 - column : column))
        let inside = 0 <= y0 && y0 < h && 0 <= x0 && x0 < w
        for channel in 0..<c {
          let pixel = inside ? images[((index * h + y0) * w + x0) * c + channel].double : 0
          x[((sample * p + row) * q + column) * c + channel] = T(pixel * scale[channel].double + shift[channel].double)
        }
      }
    }
  }
}
