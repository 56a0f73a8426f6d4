import Compute

/// What the threads of a pipeline share: who loads what, and into which memory.
///
/// Images are handed out in order. The memory of a batch is one of `ahead` slots in turn, free again once the batch was used.
/// Sendable, as what changes is touched within the monitor only; but for pixels, which each loader has to itself.
final class PipelineWork: @unchecked Sendable {
  struct Loaded {
    var items: [ImageItem]
    /// One for each item: nil where it was loaded.
    var failures: [Failure?]
  }

  /// Bytes of one image.
  let imageBytes: Int

  private let batches: [[ImageItem]]
  private let loader: any ImageLoader
  private let slots: [UnsafeMutableBufferPointer<UInt8>]
  private let monitor = Monitor()

  /// The image that is handed out next.
  private var next = (batch: 0, index: 0)
  /// Batches that were used.
  private var used = 0
  /// Of the batch in each slot: what came out, and how many images are still to come.
  private var loaded: [Loaded]
  private var missing: [Int]
  private var isCancelled = false
  private var counted = ImagePipeline.Counters()

  /// - Throws: ``Failure`` where the machine has not the memory for so many images.
  init(batches: [[ImageItem]], loader: any ImageLoader, ahead: Int) throws {
    self.batches = batches
    self.loader = loader
    imageBytes = loader.imageBytes
    let (largest, slotCount) = (batches.map(\.count).max() ?? 0, min(ahead, batches.count))
    let (slotBytes, left) = (largest * imageBytes, HostMemory.available())
    guard slotBytes <= left / max(1, slotCount) else {
      throw Failure(
        "\(slotCount) batches of \(largest) images under way take \(rounded(bytes: slotCount * slotBytes)), and "
          + "\(rounded(bytes: left)) of memory are left: use a smaller --batch-size or --image-size")
    }
    slots = (0..<slotCount).map { _ in UnsafeMutableBufferPointer.allocate(capacity: slotBytes) }
    loaded = [Loaded](repeating: Loaded(items: [], failures: []), count: slotCount)
    missing = [Int](repeating: 0, count: slotCount)
    for batch in 0..<slotCount { prepare(batch) }
  }

  deinit {
    for slot in slots { slot.deallocate() }
  }

  var counters: ImagePipeline.Counters { monitor.locked { counted } }

  func cancel() {
    monitor.locked {
      isCancelled = true
      monitor.wakeAll()
    }
  }

  // MARK: Who loads

  /// Loads images until there are no more.
  func run() {
    while let (batch, index) = claim() {
      let (item, slot) = (batches[batch][index], batch % slots.count)
      let pixels = UnsafeMutableBufferPointer(rebasing: slots[slot][index * imageBytes..<(index + 1) * imageBytes])
      let start = ContinuousClock.now
      let failure = load(item, into: pixels)
      let seconds = (ContinuousClock.now - start).seconds
      monitor.locked {
        loaded[slot].failures[index] = failure
        missing[slot] -= 1
        counted.images += failure == nil ? 1 : 0
        counted.failures += failure == nil ? 0 : 1
        counted.loading += seconds
        if missing[slot] == 0 { monitor.wakeAll() }
      }
    }
  }

  /// The next image whose batch has memory; waits for it.
  private func claim() -> (batch: Int, index: Int)? {
    monitor.locked {
      while !isCancelled && next.batch < batches.count && next.batch >= used + slots.count { monitor.wait() }
      guard !isCancelled, next.batch < batches.count else { return nil }
      defer { next = next.index + 1 < batches[next.batch].count ? (next.batch, next.index + 1) : (next.batch + 1, 0) }
      return next
    }
  }

  private func load(_ item: ImageItem, into pixels: UnsafeMutableBufferPointer<UInt8>) -> Failure? {
    do {
      try loader.load(item, into: pixels)
      return nil
    } catch { return error as? Failure ?? Failure("\(item.path): \(error)") }
  }

  // MARK: Who uses

  /// Waits for the batch after those that were used.
  /// - Returns: nil where there is none, or none will come.
  func nextBatch() -> (UnsafeMutableRawBufferPointer, Loaded)? {
    let start = ContinuousClock.now
    return monitor.locked {
      guard used < batches.count else { return nil }
      let slot = used % slots.count
      while !isCancelled && missing[slot] > 0 { monitor.wait() }
      counted.waited += (ContinuousClock.now - start).seconds
      return isCancelled ? nil : (UnsafeMutableRawBufferPointer(slots[slot]), loaded[slot])
    }
  }

  /// Says that the batch was used, so that its memory serves another.
  func release() {
    monitor.locked {
      used += 1
      if used + slots.count <= batches.count { prepare(used + slots.count - 1) }
      monitor.wakeAll()
    }
  }

  private func prepare(_ batch: Int) {
    let slot = batch % slots.count
    loaded[slot] = Loaded(items: batches[batch], failures: [Failure?](repeating: nil, count: batches[batch].count))
    missing[slot] = batches[batch].count
  }
}
