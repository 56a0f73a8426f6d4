import Compute
import DryRun
import NN
import Support

extension Summary {
  /// Compares the memory that training needs with the free memory of the device, or of each of several devices, before anything
  /// is launched.
  /// - Parameter otherBytes: additional memory that each device needs, for example for the data set.
  /// - Throws: ``Failure`` if the memory does not suffice; its message says what would fit.
  public func requireMemoryForTraining(on device: any Backend, otherBytes: Int = 0) throws {
    for (use, member) in zip(devices, device.devices) {
      let needed = use.peakBytesHeld + otherBytes
      let problem: Message
      if needed > member.memoryLimit {
        problem =
          "training needs \(rounded(bytes: needed)) of device memory, and \(member.name) has "
          + "\(rounded(bytes: member.memoryLimit)) free"
      } else if use.largestPiece > member.largestBlock {
        problem =
          "training needs a buffer of \(rounded(bytes: use.largestPiece)), and \(member.name) allows "
          + "\(rounded(bytes: member.largestBlock)) at once"
      } else {
        continue
      }
      let advice = try advice(on: device, otherBytes: otherBytes)
      throw Failure(
        .outOfMemory, problem, remedy: "\(advice)\(member.memoryAdvice.map { "; \($0)" } ?? "")")
    }
  }

  /// Suggests a batch size that fits, with activation checkpointing or without.
  private func advice(on device: any Backend, otherBytes: Int) throws -> Message {
    let plain = try options.recompute ? nil : largestBatch(recompute: false, on: device, otherBytes: otherBytes)
    guard let batch = try largestBatch(recompute: true, on: device, otherBytes: otherBytes) else {
      return "use a smaller model, image size or data set: not even the smallest \(Setting.batchSize) fits"
    }
    if options.recompute { return "use \(Setting.batchSize, batch), the largest that fits" }
    let other: Message = plain.map { ", or \(Setting.batchSize, $0), the largest that fits without" } ?? ""
    if batch == images[0] { return "use \(Setting.recompute), with which this batch fits\(other)" }
    return "use \(Setting.recompute) \(Setting.batchSize, batch), the largest that fits with it\(other)"
  }

  /// Returns the largest batch size, up to the current one, that fits in training; nil if none does.
  private func largestBatch(recompute: Bool, on device: any Backend, otherBytes: Int) throws -> Int? {
    var options = options
    options.recompute = recompute
    return try Self.largestBatch(configuration, images: images, options, on: device) { _ in otherBytes }
  }

  /// Finds the largest batch size that fits in training. One more image does not fit. Assumes that more images need more memory.
  /// - Parameters:
  ///   - images: shape of the largest batch that is of interest, [N,H,W,C].
  ///   - otherBytes: returns the additional memory that each device needs with a batch size, for example for the data set.
  /// - Returns: a batch size of at most N; nil if none fits.
  /// - Throws: ``Failure`` for a configuration, images or options that do not make a valid model.
  package static func largestBatch(
    _ configuration: ModelConfiguration, images: Shape, _ options: TrainingOptions, on device: any Backend,
    otherBytes: (_ batch: Int) -> Int
  ) throws -> Int? {
    let model = try ResNet(configuration)
    try model.store.freeze(options.frozen)
    func shape(_ batch: Int) -> Shape { [batch, images[1], images[2], images[3]] }
    /// Returns the number of missing bytes on the device that lacks the most; 0 or less if the batch fits.
    func lack(_ batch: Int) throws -> Int {
      let uses = try Self.train(model, shape(batch), options, on: device.dryRun())
      let others = otherBytes(batch)
      return zip(uses, device.devices).map { use, member in
        max(use.peakBytesHeld + others - member.memoryLimit, use.largestPiece - member.largestBlock)
      }.max() ?? 0
    }
    // One image may be too few for batch normalization.
    var fitting = model.canTrain(on: shape(1)) ? 1 : 2
    if images[0] < fitting { return nil }
    var (least, tooLarge, most) = (try lack(fitting), images[0], try lack(images[0]))
    if most <= 0 { return images[0] }
    if least > 0 { return nil }
    // Memory grows about linearly with the batch. If a step of interpolation does not halve the range, the next step tries the
    // middle.
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
