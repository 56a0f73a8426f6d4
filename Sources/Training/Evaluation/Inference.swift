import Checkpoints
import Compute
import Datasets
import Support

extension Classifier {
  /// Runs the network over all views of all images. While some batches are under way on the device, the next one is prepared.
  /// - Parameters:
  ///   - progress: called after each batch with the number of images done; returns false to stop early.
  ///   - read: starts to read back what is wanted of a batch. It gets the outputs [N,K] for each view, and the labels int32 [N].
  ///   - body: called with each batch in order, and with the values that were read back. There are none if all images of the
  ///     batch are missing.
  /// - Returns: false if `progress` stopped the run.
  /// - Throws: a ``Failure`` if the images do not fit the network; errors of the backend.
  func run(
    over images: BatchLoader, batchSize: Int, progress: (Int) throws -> Bool,
    reading read: (_ outputs: [Tensor], _ labels: Tensor) throws -> [any Readback],
    _ body: (ImageBatch, [HostTensor]) throws -> Void
  ) throws -> Bool {
    try check(images.images)
    guard images.count > 0 else { return true }
    let plan = EpochPlan(inOrder: images.count)
    let loaded = try images.load(plan, batches: plan.batches(of: batchSize, keepShort: true))
    var inFlight = InFlight<ImageBatch>()
    for index in loaded.batches.indices {
      let (batch, sent) = try loaded.load(index)
      inFlight.add(batch, try sent.map { try enqueue($0, views: images.images.views.indices, reading: read) } ?? [])
      try inFlight.collect(body)
      guard try progress(loaded.batches[index].upperBound) else { return false }
    }
    try inFlight.collect(leaving: 0, body)
    return true
  }

  /// Runs the network over all views of one batch, and starts to read the results back.
  private func enqueue(
    _ batch: DeviceBatch, views: Range<Int>, reading read: (_ outputs: [Tensor], _ labels: Tensor) throws -> [any Readback]
  ) throws -> [any Readback] {
    var labels: Tensor?
    let outputs = try views.map { view in
      let gathered = try batch.gather(view: view)
      labels = gathered.labels
      let output = try self(gathered.x)
      let expected: Shape = [gathered.x.shape[0], classes.count]
      guard output.shape == expected else {
        throw Failure(.mismatch, "\(name) gives \(output.shape), not \(expected): a value a class")
      }
      return output
    }
    return try labels.map { try read(outputs, $0) } ?? []
  }

  /// - Throws: a ``Failure`` if the images do not fit the network.
  func check(_ images: ImageViews) throws {
    if images.channels != channels {
      throw Failure(.mismatch, "\(name) is built for images of \(channels) channels, these have \(images.channels)")
    }
    if let imageSize, imageSize != (images.height, images.width) {
      throw Failure(
        .mismatch,
        "\(name) takes images of \(imageSize.height)×\(imageSize.width) only, these have \(images.height)×\(images.width)")
    }
  }

  /// Checks the outputs of the network.
  /// - Throws: a ``Failure`` if they are not finite.
  func requireFinite(_ outputs: some Collection<HostTensor>) throws {
    guard outputs.allSatisfy(\.isFinite) else {
      throw Failure(
        .mismatch, "the outputs of \(name) are not finite numbers, so the weights or the images are far out of range")
    }
  }
}
