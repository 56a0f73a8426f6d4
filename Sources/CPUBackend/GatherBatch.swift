import Compute

extension CPUBackend {
  public func gatherBatch(
    images: Tensor, labels: Tensor, plan: Tensor, channelMap: Tensor, into x: Tensor, batchLabels: Tensor
  ) {
    check(.gatherBatch(images: images, labels: labels, plan: plan, channelMap: channelMap, into: x, batchLabels: batchLabels))
    let batch = Batch(images: images, labels: labels, plan: plan, channelMap: channelMap, x: x, batchLabels: batchLabels)
    if images.type == .uint8 {
      isDouble ? gather(UInt8.self, Double.self, batch) : gather(UInt8.self, Float.self, batch)
    } else {
      isDouble ? gather(Double.self, Double.self, batch) : gather(Float.self, Float.self, batch)
    }
  }
}

private struct Batch {
  let images, labels, plan, channelMap, x, batchLabels: Tensor
}

/// Returns whether a pixel lies in the rectangle (top, left, height, width).
private func contains(_ box: UnsafePointer<Int32>, _ row: Int, _ column: Int) -> Bool {
  (row - Int(box[0])) >= 0 && row - Int(box[0]) < Int(box[2]) && column - Int(box[1]) >= 0 && column - Int(box[1]) < Int(box[3])
}

private func gather<Pixel: CPUElement, T: CPUScalar>(_: Pixel.Type, _: T.Type, _ batch: Batch) {
  let (imageShape, shape) = (batch.images.shape, batch.x.shape)
  let (m, h, w, c) = (imageShape[0], imageShape[1], imageShape[2], imageShape[3])
  let (n, p, q) = (shape[0], shape[1], shape[2])
  let isMixed = batch.plan.shape[1] == BatchPlan.mixedColumns
  let columns = isMixed ? BatchPlan.mixedColumns : BatchPlan.viewColumns
  let images = pointer(batch.images, to: Pixel.self)
  let labels = pointer(batch.labels, to: Int32.self)
  let plan = pointer(batch.plan, to: Int32.self)
  let scale = pointer(batch.channelMap, to: T.self)
  let shift = scale + c
  let x = pointer(batch.x, to: T.self)
  let batchLabels = pointer(batch.batchLabels, to: Int32.self)

  /// Returns the value of a view in one channel of a pixel, before erasing.
  func value(_ view: UnsafePointer<Int32>, _ row: Int, _ column: Int, _ channel: Int) -> Double {
    let (y0, x0) = (Int(view[1]) + row, Int(view[2]) + (view[3] != 0 ? q - 1 - column : column))
    let inside = 0 <= y0 && y0 < h && 0 <= x0 && x0 < w
    let pixel = inside ? images[((Int(view[0]) * h + y0) * w + x0) * c + channel].double : 0
    return pixel * scale[channel].double + shift[channel].double
  }

  for sample in 0..<n {
    let first = plan + sample * columns
    let second = isMixed ? first + 8 : first
    for index in [first[0], second[0]] {
      precondition(0 <= index && index < m, "[gatherBatch] index \(index) is not among \(m) images")
    }
    if isMixed {
      for (column, value) in [labels[Int(first[0])], labels[Int(second[0])], first[21]].enumerated() {
        batchLabels[sample * BatchPlan.labelColumns + column] = value
      }
    } else {
      batchLabels[sample] = labels[Int(first[0])]
    }
    for row in 0..<p {
      for column in 0..<q {
        let to = x + ((sample * p + row) * q + column) * c
        guard isMixed else {
          for channel in 0..<c { to[channel] = T(value(first, row, column, channel)) }
          continue
        }
        let share = contains(first + 16, row, column) ? 0 : Double(first[20]) / Double(BatchPlan.wholeShare)
        let weights = (
          contains(first + 4, row, column) ? 0 : share, contains(second + 4, row, column) ? 0 : 1 - share
        )
        for channel in 0..<c {
          to[channel] = T(
            weights.0 * value(first, row, column, channel) + weights.1 * value(second, row, column, channel))
        }
      }
    }
  }
}
