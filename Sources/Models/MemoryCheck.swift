import Compute
import NN

extension Summary {
  /// Compares what training will hold with what the device has, before anything is launched.
  /// - Parameter otherBytes: device memory that is needed besides, for example the data set's.
  /// - Throws: ``Failure`` where the memory does not suffice, which says what would.
  public func requireMemoryForTraining(on device: any Backend, otherBytes: Int = 0) throws {
    let needed = training.peakBytesHeld + otherBytes
    if needed <= device.memoryLimit { return }
    throw Failure(
      "training needs \(rounded(bytes: needed)) of device memory, and \(device.name) has \(rounded(bytes: device.memoryLimit)) free: "
        + (try advice(on: device, room: device.memoryLimit - otherBytes)))
  }

  /// What fits into `room` bytes.
  private func advice(on device: any Backend, room: Int) throws -> String {
    let plain = try recompute ? nil : largestBatch(recompute: false, on: device, room: room)
    guard let batch = try largestBatch(recompute: true, on: device, room: room) else {
      return "use a smaller model, image size or data set: not even the smallest --batch-size fits"
    }
    if recompute { return "use --batch-size \(batch), the largest that fits" }
    let other = plain.map { ", or --batch-size \($0), the largest that fits without" } ?? ""
    if batch == images[0] { return "use --recompute, with which this batch fits" + other }
    return "use --recompute --batch-size \(batch), the largest that fits with it" + other
  }

  /// The largest batch, up to this one, that trains in `room` bytes; nil where none does. More images are taken to need more.
  private func largestBatch(recompute: Bool, on device: any Backend, room: Int) throws -> Int? {
    // One image may be too few for batch normalisation, two are not.
    var (fitting, tooLarge) = (0, images[0] + 1)
    for batch in [images[0], 1, 2] where batch < tooLarge {
      if try fits(batch, recompute: recompute, on: device, room: room) { fitting = max(fitting, batch) }
    }
    if fitting == 0 { return nil }
    if fitting < images[0] { tooLarge = images[0] }
    while fitting + 1 < tooLarge {
      let middle = (fitting + tooLarge) / 2
      if try fits(middle, recompute: recompute, on: device, room: room) { fitting = middle } else { tooLarge = middle }
    }
    return fitting
  }

  private func fits(_ batch: Int, recompute: Bool, on device: any Backend, room: Int) throws -> Bool {
    let model = try ResNet(configuration)
    let shape: Shape = [batch, images[1], images[2], images[3]]
    guard model.canTrain(on: shape) else { return false }
    return try Self.train(model, shape, recompute, device, isLogging: false).memory.peakBytesHeld <= room
  }
}
