import CKernelParameters
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

/// Returns whether a pixel lies in a rectangle of a plan.
private func contains(_ box: UnsafePointer<Int32>, _ row: Int, _ column: Int) -> Bool {
  let (p, q) = (row - Int(box[BOX_TOP]), column - Int(box[BOX_LEFT]))
  return p >= 0 && p < Int(box[BOX_HEIGHT]) && q >= 0 && q < Int(box[BOX_WIDTH])
}

private func gather<Pixel: CPUElement, T: CPUScalar>(_: Pixel.Type, _: T.Type, _ batch: Batch) {
  let (imageShape, shape) = (batch.images.shape, batch.x.shape)
  let (m, h, w, c) = (imageShape[0], imageShape[1], imageShape[2], imageShape[3])
  let (n, p, q) = (shape[0], shape[1], shape[2])
  let isMixed = batch.plan.shape[1] == MIXED_COLUMNS
  let columns = isMixed ? MIXED_COLUMNS : VIEW_COLUMNS
  let images = pointer(batch.images, to: Pixel.self)
  let labels = pointer(batch.labels, to: Int32.self)
  let plan = pointer(batch.plan, to: Int32.self)
  let scale = pointer(batch.channelMap, to: T.self)
  let shift = scale + c
  let x = pointer(batch.x, to: T.self)
  let batchLabels = pointer(batch.batchLabels, to: Int32.self)

  /// Returns the value of a view in one channel of a pixel, before erasing.
  func value(_ view: UnsafePointer<Int32>, _ row: Int, _ column: Int, _ channel: Int) -> Double {
    let (y0, x0) = (Int(view[VIEW_TOP]) + row, Int(view[VIEW_LEFT]) + (view[VIEW_IS_FLIPPED] != 0 ? q - 1 - column : column))
    let inside = 0 <= y0 && y0 < h && 0 <= x0 && x0 < w
    let pixel = inside ? images[((Int(view[VIEW_INDEX]) * h + y0) * w + x0) * c + channel].double : 0
    return pixel * scale[channel].double + shift[channel].double
  }

  for sample in 0..<n {
    let entry = plan + sample * columns
    let (first, second) = isMixed ? (entry + MIXED_FIRST, entry + MIXED_SECOND) : (entry, entry)
    for index in [first[VIEW_INDEX], second[VIEW_INDEX]] {
      precondition(0 <= index && index < m, "[gatherBatch] index \(index) is not among \(m) images")
    }
    if isMixed {
      let mixed = batchLabels + sample * LABEL_COLUMNS
      mixed[LABEL_FIRST] = labels[Int(first[VIEW_INDEX])]
      mixed[LABEL_SECOND] = labels[Int(second[VIEW_INDEX])]
      mixed[LABEL_SHARE] = entry[MIXED_LABEL_SHARE]
    } else {
      batchLabels[sample] = labels[Int(first[VIEW_INDEX])]
    }
    for row in 0..<p {
      for column in 0..<q {
        let to = x + ((sample * p + row) * q + column) * c
        guard isMixed else {
          for channel in 0..<c { to[channel] = T(value(first, row, column, channel)) }
          continue
        }
        let share = contains(entry + MIXED_BOX, row, column) ? 0 : Double(entry[MIXED_PIXEL_SHARE]) / Double(WHOLE_SHARE)
        let weights = (
          contains(entry + MIXED_FIRST_ERASED, row, column) ? 0 : share,
          contains(entry + MIXED_SECOND_ERASED, row, column) ? 0 : 1 - share
        )
        for channel in 0..<c {
          to[channel] = T(
            weights.0 * value(first, row, column, channel) + weights.1 * value(second, row, column, channel))
        }
      }
    }
  }
}
