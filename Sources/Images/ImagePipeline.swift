import Compute

/// What happens to images that cannot be decoded.
public enum DamagedImages: String, CaseIterable, Codable, Sendable {
  /// They are left out of their batch, and named.
  case skip
  /// The first one ends the work.
  case fail
}

/// An image that a pipeline is to load.
public struct ImageItem: Sendable, Hashable {
  /// Where its file is; empty for an image in memory.
  public let path: String
  /// Its class's number.
  public let label: Int32
  /// Its number in the data set, on which its random crop depends.
  public let sample: Int

  /// - Parameter path: the file, or empty where the loader knows the image by its number.
  public init(path: String, label: Int32, sample: Int) {
    self.path = path
    self.label = label
    self.sample = sample
  }
}

/// Makes the pixels of images, called from several threads.
public protocol ImageLoader: Sendable {
  /// Of one image, all of one size.
  var imageBytes: Int { get }
  /// - Parameter pixels: where the image goes, ``imageBytes``.
  /// - Throws: a ``Failure`` that names the image, where it is damaged.
  func load(_ item: ImageItem, into pixels: UnsafeMutableBufferPointer<UInt8>) throws
}

/// What another loader makes of colour images, in grey.
public struct GreyLoader: ImageLoader {
  private let colours: any ImageLoader

  /// - Parameter colours: makes [H,W,3].
  public init(_ colours: any ImageLoader) { self.colours = colours }

  public var imageBytes: Int { colours.imageBytes / 3 }

  public func load(_ item: ImageItem, into pixels: UnsafeMutableBufferPointer<UInt8>) throws {
    try withUnsafeTemporaryAllocation(of: UInt8.self, capacity: colours.imageBytes) { rgb in
      rgb.initialize(repeating: 0)
      try colours.load(item, into: rgb)
      _ = pixels.update(from: luma(ofRGB: UnsafeRawBufferPointer(rgb)))
    }
  }
}

/// Reads, decodes and transforms files.
public struct FileLoader: ImageLoader {
  /// What makes images of one size out of them.
  public let transform: any ImageTransform
  /// What a file may ask for.
  public let limits: ImageLimits

  public var imageBytes: Int { transform.height * transform.width * 3 }

  /// Reads files within limits and transforms them.
  public init(_ transform: any ImageTransform, limits: ImageLimits = ImageLimits()) {
    self.transform = transform
    self.limits = limits
  }

  public func load(_ item: ImageItem, into pixels: UnsafeMutableBufferPointer<UInt8>) throws {
    try transform.apply(try EncodedImage(contentsOf: item.path, limits: limits), sample: item.sample, into: pixels)
  }
}

/// Loads batches of images with several threads, ahead of who needs them.
///
/// Batches and the images in them come in the order that was asked for, with the same values whatever the number of threads. At most
/// `ahead` batches and one file and decoded image a thread are in memory. Threads begin at once, and end with the last image, at
/// ``cancel()`` or with the pipeline.
public final class ImagePipeline: Sendable {
  /// Images that are ready. Valid only within the call that lends it.
  public struct Batch {
    /// The images' bytes one after the other: of files uint8 [items.count, H, W, 3].
    public let pixels: UnsafeRawBufferPointer
    /// What the images are, in order.
    public let items: [ImageItem]
    /// Why images are missing, in order.
    public let failures: [Failure]
  }

  /// What the pipeline has done so far.
  public struct Counters: Sendable, Hashable {
    /// Images that were loaded, and that could not be.
    public var images = 0
    public var failures = 0
    /// Seconds that ``next(_:)`` waited for images: while this grows, loading is what limits the whole.
    public var waited = 0.0
    /// Seconds that threads spent loading, all together.
    public var loading = 0.0
  }

  private let work: PipelineWork
  private let threads: [WorkerThread]
  private let damaged: DamagedImages

  /// Loads files.
  /// - Parameters:
  ///   - transform: what makes images of one size out of them.
  ///   - limits: what a file may ask for.
  public convenience init(
    batches: [[ImageItem]], transform: any ImageTransform, damaged: DamagedImages = .fail, threads: Int? = nil, ahead: Int = 3,
    limits: ImageLimits = ImageLimits()
  ) throws {
    try self.init(
      batches: batches, loader: FileLoader(transform, limits: limits), damaged: damaged, threads: threads, ahead: ahead)
  }

  /// - Parameters:
  ///   - batches: the items of each, in order.
  ///   - loader: what makes their pixels.
  ///   - threads: nil for one on every processor.
  ///   - ahead: batches in memory, the one in use included.
  /// - Throws: ``Failure`` where the system has no threads to give, or not the memory.
  /// - Precondition: no batch is empty, and the numbers are positive.
  public init(
    batches: [[ImageItem]], loader: any ImageLoader, damaged: DamagedImages = .fail, threads: Int? = nil, ahead: Int = 3
  ) throws {
    let wanted = threads ?? WorkerThread.processorCount
    precondition(
      wanted > 0 && ahead > 0 && batches.allSatisfy { !$0.isEmpty }, "[ImagePipeline] \(wanted) threads, \(ahead) batches")
    let work = try PipelineWork(batches: batches, loader: loader, ahead: ahead)
    self.work = work
    self.damaged = damaged
    self.threads = (0..<wanted).compactMap { _ in WorkerThread { work.run() } }
    guard !self.threads.isEmpty || batches.isEmpty else { throw Failure("cannot start a thread to load images with") }
  }

  deinit {
    work.cancel()
    for thread in threads { thread.join() }
  }

  /// What the pipeline has done so far; from any thread, at any time.
  public var counters: Counters { work.counters }

  /// Waits for the next batch and lends it to `body`. Its memory is used again afterwards. To be called from one thread at a time.
  /// - Returns: what `body` returns; nil after the last batch, and once the pipeline was cancelled.
  /// - Throws: with ``DamagedImages/fail`` the ``Failure`` of the first image in order that could not be loaded, after which the
  ///   pipeline is cancelled; and what `body` throws.
  public func next<Result>(_ body: (Batch) throws -> Result) throws -> Result? {
    guard let (pixels, loaded) = work.nextBatch() else { return nil }
    defer { work.release() }
    var (items, failures) = ([ImageItem](), [Failure]())
    let imageBytes = work.imageBytes
    for (index, (item, failure)) in zip(loaded.items, loaded.failures).enumerated() {
      if let failure {
        if damaged == .fail {
          work.cancel()
          throw Failure("\(failure); mend or remove it, or leave such images out with --damaged skip")
        }
        failures.append(failure)
        continue
      }
      // Closes the gaps that damaged images leave.
      if items.count != index {
        UnsafeMutableRawBufferPointer(rebasing: pixels[(items.count * imageBytes)...])
          .copyMemory(from: UnsafeRawBufferPointer(rebasing: pixels[index * imageBytes..<(index + 1) * imageBytes]))
      }
      items.append(item)
    }
    let ready = UnsafeRawBufferPointer(rebasing: pixels[..<(items.count * imageBytes)])
    return try body(Batch(pixels: ready, items: items, failures: failures))
  }

  /// Ends the work: threads finish the image at hand, and ``next(_:)`` returns nil, also to who waits in it. From any thread.
  public func cancel() { work.cancel() }
}
