import Compute
import Datasets
import Images
import Support

/// Loader of images onto a device, one batch at a time, for training, evaluation and prediction.
///
/// Images in memory are sent once and stay on the device. All other images are made by threads of the host while the device
/// works, and sent as pixels, one batch at a time: photographs that are decoded, and images whose colors change.
///
/// ```swift
/// let images = SyntheticImages(classes: 4).splits().train
/// let data = try BatchLoader(images, on: backend)
/// ```
public final class BatchLoader {
  /// Images and their views.
  public let images: ImageViews
  /// Number of images, including those that cannot be loaded.
  public var count: Int { items.count }

  let items: [ImageItem]
  let backend: any Backend
  private let crop: RandomResizedCrop?
  private let augmentation: Augmentation?
  private let channelMap: Tensor
  private let precision: Precision
  /// Storage type of the batches.
  private let storage: DataType
  /// Pixels of all images; nil if batches are sent one at a time.
  private let resident: DevicePixels?
  private let onDamage: (Failure) -> Void
  /// Failures that were reported to ``onDamage`` already.
  private var named: Set<Failure> = []

  /// - Parameters:
  ///   - crop: random crops of photographs; nil for none.
  ///   - augmentation: random changes of images in addition to those in the plan; nil for images as they are measured on.
  ///   - precision: storage type of the batches, and with them of all activations of the network that they go through.
  ///   - streams: whether images in memory are sent one batch at a time, too. This saves memory on the device if each image is
  ///     needed only once.
  ///   - onDamage: called once for each image that cannot be loaded and is left out.
  /// - Throws: a ``Failure`` if the images cannot be changed in this way; errors of the backend, for example if the images do
  ///   not fit into its memory.
  public init(
    _ images: ImageViews, crop: RandomResizedCrop? = nil, augmentation: Augmentation? = nil, precision: Precision = .fp32,
    streams: Bool = false, on backend: any Backend, onDamage: @escaping (Failure) -> Void = { _ in }
  ) throws {
    let source = images.source
    try source.requirePixels(for: augmentation)
    (self.images, self.crop, self.augmentation, self.backend, self.onDamage) = (images, crop, augmentation, backend, onDamage)
    items = source.items
    self.precision = precision
    storage = precision.storage(on: backend)
    channelMap = try backend.upload(source.normalization.channelMap)
    resident = try (streams ? nil : Self.residentPixels(source, augmentation)).map { [items] in
      DevicePixels(pixels: try backend.upload($0), labels: try backend.upload(Self.labels(items)))
    }
  }

  /// Makes a loader of whole images, in one view.
  public convenience init(
    _ source: any ImageSource, crop: RandomResizedCrop? = nil, augmentation: Augmentation? = nil, precision: Precision = .fp32,
    streams: Bool = false, on backend: any Backend, onDamage: @escaping (Failure) -> Void = { _ in }
  ) throws {
    try self.init(
      try ImageViews(source), crop: crop, augmentation: augmentation, precision: precision, streams: streams, on: backend,
      onDamage: onDamage)
  }

  /// Prepares one epoch.
  /// - Parameters:
  ///   - batches: ranges of the plan's rows, one for each batch.
  ///   - first: index of the first batch that will be requested; the batches before it are not needed.
  ///   - size: height and width of the images that the network sees, at most those of ``images``; nil for those. Photographs are
  ///     cropped in this size, all other images are shrunk on the device after all random changes.
  /// - Throws: a ``Failure`` if threads cannot be started; errors of the backend.
  public func load(
    _ plan: EpochPlan, batches: [Range<Int>], from first: Int = 0, size: (height: Int, width: Int)? = nil
  ) throws -> LoadedEpoch {
    let size = size ?? (height: images.height, width: images.width)
    if size != (images.height, images.width), let source = images.source.resized(height: size.height, width: size.width) {
      return try loader(of: source).load(plan, batches: batches, from: first)
    }
    if let resident {
      // Puts the plan on the device as well, so that a step sends nothing.
      let rows = try batches.map { try views(of: plan.rows($0, height: images.height, width: images.width)) }
      return LoadedEpoch(self, plan, batches: batches, .resident(resident, rows: rows), size: size, from: first)
    }
    let (order, source) = (plan.order, images.source)
    let pipeline = try ImagePipeline(
      batches: batches.dropFirst(first).map { $0.map { plan.item(ofRow: $0, order, items) } },
      loader: try source.loader(crop: crop, augmentation, seed: plan.seed, epoch: plan.epoch), damaged: source.damaged)
    return LoadedEpoch(self, plan, batches: batches, .streamed(pipeline), size: size, from: first)
  }

  /// Returns a loader of the same images in another size.
  private func loader(of source: any ImageSource) throws -> BatchLoader {
    var crop = crop
    crop?.size = source.shape[1]
    return try BatchLoader(
      source, crop: crop, augmentation: augmentation, precision: precision, on: backend, onDamage: report)
  }

  /// Reports an image that cannot be loaded, once.
  private func report(_ failure: Failure) { if named.insert(failure).inserted { onDamage(failure) } }

  /// Sends the images of a batch to the device.
  /// - Parameter begin: first row of the batch in the plan.
  func send(_ batch: ImagePipeline.Batch, _ plan: EpochPlan, _ begin: Int) throws -> DeviceBatch? {
    for failure in batch.failures { report(failure) }
    let source = images.source
    guard !batch.items.isEmpty else { return nil }
    let shape = Shape([batch.items.count] + source.shape.dimensions.dropFirst())
    let pixels = try upload(batch.pixels, shape, source.pixelType)
    // The images are in order already. Gathering normalizes, erases and mixes them, and divides the batch among several devices.
    let rows = plan.rows(ofLoaded: batch.items.map(\.draw), batch: begin, height: images.height, width: images.width)
    let sent = DevicePixels(pixels: pixels, labels: try backend.upload(Self.labels(batch.items)))
    return DeviceBatch(loader: self, sent, rows: try views(of: rows))
  }

  private func upload(_ bytes: UnsafeRawBufferPointer, _ shape: Shape, _ type: DataType) throws -> Tensor {
    // Values of another type than bytes may need a conversion to that of the backend.
    guard type == .uint8 else { return try backend.upload(HostTensor(shape: shape, type: type, bytes: Array(bytes))) }
    let pixels = try backend.tensor(shape, type)
    try backend.write(bytes, to: pixels)
    return pixels
  }

  /// Returns the rows of a batch for each view, on the device.
  private func views(of rows: HostTensor) throws -> [Tensor] {
    try images.views.map { try backend.uploadBatch($0.applied(to: rows)) }
  }

  /// Gathers one batch: normalized x [N,H,W,C], and labels int32 [N], or [N,3] for mixed images.
  func gather(_ rows: Tensor, of images: DevicePixels) throws -> (x: Tensor, labels: Tensor) {
    let count = rows.shape[0]
    let x = try backend.batchTensor([count, self.images.height, self.images.width, self.images.channels], storage)
    let isMixed = rows.shape[1] == BatchPlan.mixedColumns
    let labels = try backend.batchTensor(isMixed ? [count, BatchPlan.labelColumns] : [count], .int32)
    try backend.gatherBatch(
      images: images.pixels, labels: images.labels, plan: rows, channelMap: channelMap, into: x, batchLabels: labels)
    return (x, labels)
  }

  /// Shrinks images x [N,H,W,C] to a size, if that is another.
  func shrunk(_ x: Tensor, to size: (height: Int, width: Int)) throws -> Tensor {
    if (x.shape[1], x.shape[2]) == size { return x }
    let y = try backend.batchTensor([x.shape[0], size.height, size.width, x.shape[3]], x.type)
    try backend.shrink(x, into: y)
    return y
  }

  private static func labels(_ items: [ImageItem]) -> HostTensor { HostTensor(items.map(\.label), shape: [items.count]) }

  /// Returns the pixels that stay on the device; nil if batches are sent one at a time.
  private static func residentPixels(_ source: any ImageSource, _ augmentation: Augmentation?) -> HostTensor? {
    augmentation?.changesPixels == true ? nil : source.pixels
  }

  /// Returns the number of bytes that images take on the device with their labels and the plan of an epoch, not counting the
  /// normalized batches.
  /// - Parameter alignment: alignment of the device's memory in bytes.
  static func bytesOnDevice(
    _ source: any ImageSource, _ augmentation: Augmentation? = nil, batchSize: Int, alignment: Int
  ) -> Int {
    func aligned(_ bytes: Int) -> Int { (bytes + alignment - 1) / alignment * alignment }
    let columns = augmentation?.changesBatches == true ? BatchPlan.mixedColumns : BatchPlan.viewColumns
    let rows = aligned(batchSize * columns * DataType.int32.byteCount)
    func labels(_ count: Int) -> Int { aligned(count * DataType.int32.byteCount) }
    if let pixels = residentPixels(source, augmentation) {
      let batches = (source.count + batchSize - 1) / batchSize
      return aligned(pixels.bytes.count) + labels(source.count) + batches * rows
    }
    let pixels = batchSize * source.shape.dimensions.dropFirst().reduce(source.pixelType.byteCount, *)
    return aligned(pixels) + labels(batchSize) + rows
  }
}

/// Pixels of images on a device, with their labels.
struct DevicePixels {
  /// Images [M,H,W,C] and labels int32 [M].
  let pixels, labels: Tensor
}
