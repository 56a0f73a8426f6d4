import Compute
import Datasets
import Models
import Support

/// The largest batch size that suits a run and fits its device's memory.
package struct LargestBatch {
  /// Batch size; the smallest possible one if none fits.
  package let size: Int
  /// Sentence that says which batch size was taken and why.
  package let note: Message

  /// Batch size up to which training with large batches was studied (Goyal et al. 2017).
  private static let most = 8192
  /// Number of steps that an epoch keeps, unless batches would have less than ``fewest`` images.
  private static let (steps, fewest) = (10, 32)

  /// Finds the size from dry runs.
  /// - Parameters:
  ///   - configuration: settings of the run; its batch size does not matter.
  ///   - backend: the device, whose free memory counts.
  ///   - bound: largest size of interest.
  /// - Throws: ``Failure`` for options and images that do not make a valid network.
  package init(
    for configuration: RunConfiguration, _ splits: ImageSplits, on backend: any Backend, atMost bound: Int = .max
  ) throws {
    let used = splits.limited(by: configuration.data)
    let (train, validation) = (used.train, used.validation)
    let (count, image) = (train.count, train.shape.dimensions.dropFirst())
    // A tensor has at most 2^36 values.
    let possible = (1 << 36) / max(1, image.reduce(1, *))
    let sensible = max(count / configuration.accumulate / Self.steps, min(count, Self.fewest))
    let limit = max(1, min(min(bound, Self.most), min(possible, sensible)))
    let fitting = try Summary.largestBatch(
      configuration.model, images: Shape([limit] + image), configuration.trainingOptions, on: backend
    ) { configuration.bytesOfImages(train, validation, batchSize: $0, on: backend) }
    size = fitting ?? min(2, limit)
    if size < limit {
      let memory = backend.devices.map { rounded(bytes: $0.memoryLimit) }.joined(separator: " + ")
      note = "batch size \(grouped(size)): the largest that fits \(memory)"
    } else if limit == Self.most {
      note = "batch size \(grouped(size)): the memory holds more, but still larger batches seldom train well"
    } else {
      note = "batch size \(grouped(size)): the memory holds more, but an epoch would have too few steps"
    }
  }
}

extension RunConfiguration {
  /// Checks that training fits the memory of each device.
  /// - Throws: ``Failure`` that names the largest batch that fits, if it does not.
  package func requireMemory(
    _ train: any ImageSource, _ validation: any ImageSource, on backend: any Backend
  ) throws {
    let (shape, batch) = (train.shape, min(batchSize, train.count))
    try Summary(model, images: [batch, shape[1], shape[2], shape[3]], trainingOptions, on: backend)
      .requireMemoryForTraining(
        on: backend, otherBytes: bytesOfImages(train, validation, batchSize: batch, on: backend))
  }

  /// Completes the error of a driver that refuses memory, which knows only what it refuses: what training needs, and the largest
  /// batch that fits. Returns other errors as they are.
  package func completed(_ error: any Error, _ splits: ImageSplits, on backend: any Backend) -> any Error {
    guard let failure = error as? Failure, failure.kind == .outOfMemory else { return error }
    let used = splits.limited(by: data)
    do { try requireMemory(used.train, used.validation, on: backend) } catch let plan as Failure where plan.kind == .outOfMemory {
      if plan.problem == failure.problem { return failure }
      return Failure(.outOfMemory, about: failure.subject, "\(failure.problem); \(plan.problem)", remedy: plan.remedy)
    } catch {
      // The plan cannot tell more.
    }
    return failure
  }

  /// Returns the number of bytes that the images of both splits take on each device besides a training step.
  /// - Parameter batchSize: number of images of a batch.
  func bytesOfImages(
    _ train: any ImageSource, _ validation: any ImageSource, batchSize: Int, on backend: any Backend
  ) -> Int {
    let alignment = backend.alignment
    // Metrics, maps of channels and the weights of classes are a few small tensors.
    let small = 16 * alignment + model.classes * DataType.float32.byteCount
    return small + BatchLoader.bytesOnDevice(train, augmentation, batchSize: batchSize, alignment: alignment)
      + BatchLoader.bytesOnDevice(validation, batchSize: batchSize, alignment: alignment)
  }
}
