import Compute
import NN

extension Summary {
  /// Compares what training will hold with what the device has, or each of several, before anything is launched.
  /// - Parameter otherBytes: memory that is needed besides on each device, for example the data set's.
  /// - Throws: ``Failure`` where the memory does not suffice, which says what would.
  public func requireMemoryForTraining(on device: any Backend, otherBytes: Int = 0) throws {
    for (use, member) in zip(devices, device.devices) {
      let needed = use.peakBytesHeld + otherBytes
      if needed <= member.memoryLimit { continue }
      throw Failure(
        "training needs \(rounded(bytes: needed)) of device memory, and \(member.name) has \(rounded(bytes: member.memoryLimit)) "
          + "free: " + (try advice(on: device, otherBytes: otherBytes)) + (member.memoryAdvice.map { "; \($0)" } ?? ""))
    }
  }

  /// What fits.
  private func advice(on device: any Backend, otherBytes: Int) throws -> String {
    let plain = try options.recompute ? nil : largestBatch(recompute: false, on: device, otherBytes: otherBytes)
    guard let batch = try largestBatch(recompute: true, on: device, otherBytes: otherBytes) else {
      return "use a smaller model, image size or data set: not even the smallest --batch-size fits"
    }
    if options.recompute { return "use --batch-size \(batch), the largest that fits" }
    let other = plain.map { ", or --batch-size \($0), the largest that fits without" } ?? ""
    if batch == images[0] { return "use --recompute, with which this batch fits" + other }
    return "use --recompute --batch-size \(batch), the largest that fits with it" + other
  }

  /// The largest batch, up to this one, that fits in training; nil where none does. More images are taken to need more.
  private func largestBatch(recompute: Bool, on device: any Backend, otherBytes: Int) throws -> Int? {
    let model = try ResNet(configuration)
    try model.store.freeze(options.frozen)
    var options = options
    options.recompute = recompute
    func shape(_ batch: Int) -> Shape { [batch, images[1], images[2], images[3]] }
    /// Bytes by which the device that lacks most lacks them; 0 or less where the batch fits.
    func lack(_ batch: Int) throws -> Int {
      let uses = try Self.train(model, shape(batch), options, on: device.dryRun())
      return zip(uses, device.devices).map { $0.peakBytesHeld + otherBytes - $1.memoryLimit }.max() ?? 0
    }
    // One image may be too few for batch normalisation.
    var fitting = model.canTrain(on: shape(1)) ? 1 : 2
    var (least, tooLarge, most) = (try lack(fitting), images[0], try lack(images[0]))
    if most <= 0 { return images[0] }
    if least > 0 { return nil }
    // Memory grows about linearly with the batch; where that does not halve the range, its middle does.
    var interpolates = true
    while fitting + 1 < tooLarge {
      let width = tooLarge - fitting
      let share = interpolates ? Double(-least) / Double(most - least) : 0.5
      let middle = min(max(fitting + Int(Double(width) * share), fitting + 1), tooLarge - 1)
      let bytes = try lack(middle)
      if bytes <= 0 { (fitting, least) = (middle, bytes) } else { (tooLarge, most) = (middle, bytes) }
      interpolates = !interpolates || 2 * (tooLarge - fitting) <= width
    }
    return fitting
  }
}
