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
    let model = try ResNet(configuration)
    func shape(_ batch: Int) -> Shape { [batch, images[1], images[2], images[3]] }
    func peak(_ batch: Int) throws -> Int {
      try Self.train(model, shape(batch), recompute, precision, device, isLogging: false).memory.peakBytesHeld
    }
    // One image may be too few for batch normalisation.
    var fitting = model.canTrain(on: shape(1)) ? 1 : 2
    var (least, tooLarge, most) = (try peak(fitting), images[0], try peak(images[0]))
    if most <= room { return images[0] }
    if least > room { return nil }
    // Memory grows about linearly with the batch; where that does not halve the range, its middle does.
    var interpolates = true
    while fitting + 1 < tooLarge {
      let width = tooLarge - fitting
      let share = interpolates ? Double(room - least) / Double(most - least) : 0.5
      let middle = min(max(fitting + Int(Double(width) * share), fitting + 1), tooLarge - 1)
      let bytes = try peak(middle)
      if bytes <= room { (fitting, least) = (middle, bytes) } else { (tooLarge, most) = (middle, bytes) }
      interpolates = !interpolates || 2 * (tooLarge - fitting) <= width
    }
    return fitting
  }
}
