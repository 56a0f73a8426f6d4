import Compute
import Models
import NN

extension ResNet {
  /// The logits of images that are used as they are, with running estimates.
  /// - Parameters:
  ///   - images: float32 [N,H,W,C].
  ///   - batchSize: images at once.
  ///   - progress: told the share done after each batch; returns false to stop early.
  /// - Returns: float32 [N,classes]; nil where `progress` stopped it.
  /// - Throws: ``Failure`` for images of another channel count; what the backend throws.
  public func logits(
    of images: HostTensor, batchSize: Int, precision: Precision = .fp32, progress: (Double) throws -> Bool = { _ in true }
  ) throws -> HostTensor? {
    let backend = store.backend
    let (count, size) = (images.shape[0], images.shape.dimensions.dropFirst())
    let imageByteCount = images.bytes.count / max(1, count)
    let folded = FoldedParameters()
    var logits: [Float] = []
    // One batch may wait on the device while the next is sent.
    var pending: [any Readback] = []
    func collect(downTo left: Int) throws {
      while pending.count > left { logits += try pending.removeFirst().wait().floats }
    }
    for start in stride(from: 0, to: count, by: batchSize) {
      let range = start..<min(count, start + batchSize)
      let bytes = images.bytes[range.lowerBound * imageByteCount..<range.upperBound * imageByteCount]
      let batch = HostTensor(shape: Shape([range.count] + size), type: images.type, bytes: Array(bytes))
      let x = Variable(try backend.uploadBatch(batch, as: precision.storage(on: backend)))
      pending.append(try backend.readLater(try self(x, Pass(on: backend, mode: .inference, folded: folded)).value))
      try collect(downTo: 1)
      guard try progress(Double(range.upperBound) / Double(count)) else { return nil }
    }
    try collect(downTo: 0)
    return HostTensor(logits, shape: [count, configuration.classes])
  }
}
