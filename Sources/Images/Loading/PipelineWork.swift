import Support

/// State that the threads of a pipeline share: the images to load and the memory for them.
///
/// Images are handed out in order. Each batch uses one of `ahead` memory slots in turn. A slot is free again once its batch
/// was used. The class is Sendable, because its mutable state is touched within the monitor only. The exception is pixels,
/// which each loading thread has to itself.
final class PipelineWork: @unchecked Sendable {
  struct Loaded {
    var items: [ImageItem]
    /// Failure of each item; nil if it was loaded.
    var failures: [Failure?]
  }

  /// Number of bytes of one image.
  let imageBytes: Int

  private let batches: [[ImageItem]]
  private let loader: any ImageLoader
  private let slots: [UnsafeMutableBufferPointer<UInt8>]
  private let monitor = Monitor()

  /// Next image to hand out.
  private var next = (batch: 0, index: 0)
  /// Number of batches that were used.
  private var used = 0
  /// Results of the batch in each slot, and number of its images that are still to come.
  private var loaded: [Loaded]
  private var missing: [Int]
  private var isCancelled = false
  private var counted = ImagePipeline.Counters()

  /// - Throws: a ``Failure`` if the machine lacks the memory for so many images.
  init(batches: [[ImageItem]], loader: any ImageLoader, ahead: Int) throws {
    self.batches = batches
    self.loader = loader
    imageBytes = loader.imageBytes
    let (largest, slotCount) = (batches.map(\.count).max() ?? 0, min(ahead, batches.count))
    let (slotBytes, left) = (largest * imageBytes, HostMemory.available())
    guard slotBytes <= left / max(1, slotCount) else {
      throw Failure(
        .outOfMemory,
        "\(slotCount) batches of \(largest) images under way take \(rounded(bytes: slotCount * slotBytes)), and "
          + "\(rounded(bytes: left)) of memory are left",
        remedy: "use a smaller \(Setting.batchSize) or \(Setting.imageSize)")
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

  // MARK: Producers

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

  /// Waits until the batch of the next image has memory, and returns that image; nil if there are no more.
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
    } catch { return error as? Failure ?? Failure(.damagedFile, about: item.path, "\(error)") }
  }

  // MARK: Consumer

  /// Waits for the next batch that was not used yet.
  /// - Returns: nil if there is none, or if none will come.
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

  /// Marks the batch as used, so that its memory serves another one.
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
