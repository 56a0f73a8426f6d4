import Support

/// Treatment of images that cannot be decoded.
///
/// ```swift
/// let images = try classifier.classify(["holiday"], damaged: .skip)
/// ```
public enum DamagedImages: String, CaseIterable, Codable, Sendable {
  /// Leaves them out of their batch and names them.
  case skip
  /// Ends the work at the first one.
  case fail
}

/// Image that a pipeline loads.
public struct ImageItem: Sendable, Hashable {
  /// Place of the encoded image.
  public let place: ImagePlace
  /// Number of the class.
  public let label: Int32
  /// Number of the image in the data set.
  public let sample: Int
  /// Number on which the random changes of the image depend. It is that of the image, unless an epoch has the image more than
  /// once.
  public private(set) var draw: Int

  /// Name of the image in messages, which is the path of its file; empty if the loader knows the image by its number.
  public var path: String { place.path }

  /// - Parameter path: path of the file; empty if the loader knows the image by its number.
  public init(path: String, label: Int32, sample: Int) {
    self.init(ImagePlace(file: path), label: label, sample: sample)
  }

  /// Creates an item of an image wherever its bytes are.
  public init(_ place: ImagePlace, label: Int32, sample: Int) {
    (self.place, self.label, self.sample, draw) = (place, label, sample, sample)
  }

  /// Returns the same image, whose random changes depend on another number.
  package func drawn(by number: Int) -> ImageItem {
    var copy = self
    copy.draw = number
    return copy
  }
}

/// Loader of the pixels of images. Several threads call it.
public protocol ImageLoader: Sendable {
  /// Number of bytes of one image. All images have the same size.
  var imageBytes: Int { get }
  /// Loads an image.
  /// - Parameter pixels: destination of ``imageBytes`` bytes.
  /// - Throws: a ``Failure`` that names the image if it is damaged.
  func load(_ item: ImageItem, into pixels: UnsafeMutableBufferPointer<UInt8>) throws
}

/// Loader that converts the color images of another loader to gray.
public struct GrayLoader: ImageLoader {
  private let colors: any ImageLoader

  /// - Parameter colors: loader of images [H,W,3].
  public init(_ colors: any ImageLoader) { self.colors = colors }

  public var imageBytes: Int { colors.imageBytes / 3 }

  public func load(_ item: ImageItem, into pixels: UnsafeMutableBufferPointer<UInt8>) throws {
    try withUnsafeTemporaryAllocation(of: UInt8.self, capacity: colors.imageBytes) { rgb in
      rgb.initialize(repeating: 0)
      try colors.load(item, into: rgb)
      _ = pixels.update(from: luma(ofRGB: UnsafeRawBufferPointer(rgb)))
    }
  }
}

/// Loader that reads, decodes and transforms image files, wherever their bytes are.
public struct FileLoader: ImageLoader {
  /// Transform that brings all images to one size.
  public let transform: any ImageTransform
  /// Limits on the files.
  public let limits: ImageLimits

  public var imageBytes: Int { transform.height * transform.width * 3 }

  /// Creates a loader that reads files within limits and transforms them.
  public init(_ transform: any ImageTransform, limits: ImageLimits = ImageLimits()) {
    self.transform = transform
    self.limits = limits
  }

  public func load(_ item: ImageItem, into pixels: UnsafeMutableBufferPointer<UInt8>) throws {
    try transform.apply(try EncodedImage(item.place, limits: limits), sample: item.draw, into: pixels)
  }
}

/// Prefetches batches of images on worker threads.
///
/// Batches and the images in them come in the requested order, with the same values for any number of threads. At most
/// `ahead` batches are in memory, and one file and one decoded image for each thread. Threads start at once. They end after
/// the last image, at ``cancel()``, or when the pipeline is released.
public final class ImagePipeline: Sendable {
  /// Batch of loaded images. It is valid only within the call that lends it.
  public struct Batch {
    /// Bytes of the images, one image after another; for files uint8 [items.count, H, W, 3].
    public let pixels: UnsafeRawBufferPointer
    /// Items of the images, in order.
    public let items: [ImageItem]
    /// Items of the images that are missing, in order.
    public let missing: [ImageItem]
    /// Reasons why images are missing, in the order of ``missing``.
    public let failures: [Failure]
  }

  /// Counters of the pipeline's work so far.
  public struct Counters: Sendable, Hashable {
    /// Number of images that were loaded, and number of images that could not be loaded.
    public var images = 0
    public var failures = 0
    /// Seconds that ``next(_:)`` waited for images. If this grows, loading is the bottleneck.
    public var waited = 0.0
    /// Seconds that all threads together spent loading.
    public var loading = 0.0
  }

  private let work: PipelineWork
  private let threads: [WorkerThread]
  private let damaged: DamagedImages

  /// Creates a pipeline that loads files.
  /// - Parameters:
  ///   - transform: transform that brings all images to one size.
  ///   - limits: limits on the files.
  public convenience init(
    batches: [[ImageItem]], transform: any ImageTransform, damaged: DamagedImages = .fail, threads: Int? = nil, ahead: Int = 3,
    limits: ImageLimits = ImageLimits()
  ) throws {
    try self.init(
      batches: batches, loader: FileLoader(transform, limits: limits), damaged: damaged, threads: threads, ahead: ahead)
  }

  /// Creates a pipeline with any loader.
  /// - Parameters:
  ///   - batches: items of each batch, in order.
  ///   - loader: loader of the pixels.
  ///   - threads: number of worker threads; nil for one on every processor.
  ///   - ahead: number of batches in memory, including the one in use.
  /// - Throws: a ``Failure`` if the system cannot start a thread or lacks the memory.
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
    guard !self.threads.isEmpty || batches.isEmpty else {
      throw Failure(.inputOutput, "cannot start a thread to load images with")
    }
  }

  deinit {
    work.cancel()
    for thread in threads { thread.join() }
  }

  /// Counters of the work so far. They can be read from any thread at any time.
  public var counters: Counters { work.counters }

  /// Waits for the next batch and lends it to `body`. Its memory is reused afterwards. Call this from one thread at a time.
  /// - Returns: the result of `body`; nil after the last batch, or once the pipeline was canceled.
  /// - Throws: with ``DamagedImages/fail``, the ``Failure`` of the first image in order that could not be loaded, after which
  ///   the pipeline is canceled; also any error of `body`.
  public func next<Result>(_ body: (Batch) throws -> Result) throws -> Result? {
    guard let (pixels, loaded) = work.nextBatch() else { return nil }
    defer { work.release() }
    var (items, missing, failures) = ([ImageItem](), [ImageItem](), [Failure]())
    let imageBytes = work.imageBytes
    for (index, (item, failure)) in zip(loaded.items, loaded.failures).enumerated() {
      if let failure {
        if damaged == .fail {
          work.cancel()
          throw Failure(
            failure.kind,
            "\(failure); mend or remove it, or leave such images out with \(Setting.damaged, DamagedImages.skip.rawValue)")
        }
        missing.append(item)
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
    return try body(Batch(pixels: ready, items: items, missing: missing, failures: failures))
  }

  /// Ends the work. Threads finish their current image, and ``next(_:)`` returns nil, even to a caller that already waits in
  /// it. This can be called from any thread.
  public func cancel() { work.cancel() }
}
