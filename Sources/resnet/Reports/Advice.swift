import Foundation

/// Advice on a training run whose figures look wrong: each rule speaks at most once, in one line.
package struct Advice {
  /// Rule by which a run looks wrong.
  package enum Rule: Hashable, Sendable { case fewImages, earlyStatistics, explosion, largeLoss, risingLoss }

  /// Number of images a class below which a network from random weights learns little.
  package static let fewImages = 50
  /// Number of steps after which the running statistics of batch normalization, with momentum 0.1, have settled.
  package static let settledSteps = 100
  /// Ratio of validation loss to training loss that is far above it. The validation loss is also above ln(classes), the loss of
  /// a guess, twice.
  package static let farAbove = 3.0
  /// Ratio of a loss to ln(classes) that is too large, and the steps after the warm-up before it counts.
  package static let (tooLarge, patience) = (10.0, 20)
  /// Number of the first steps of a run, and of later steps in a row, whose mean losses are compared. An explosion is a mean
  /// ``tooLarge`` times as large as the first one, and as ln(classes).
  package static let compared = 5
  /// Ratio of the mean losses of the last and the first quarter of an epoch that is a rise, and the fewest steps of such an
  /// epoch. The means also differ by three standard errors, because single batches of images that the network knows by heart
  /// have losses that differ many times.
  package static let (rise, fewestSteps, standardErrors) = (1.3, 40, 3.0)

  private let classes: Int
  private let warmupSteps: Int
  private let learningRate: Double
  private var given: Set<Rule> = []
  /// Losses of the present epoch's steps.
  private var losses: [Double] = []
  private var epoch = 0
  /// Losses of the first steps.
  private var first: [Double] = []

  /// - Parameters:
  ///   - classes: number of classes, at least 1.
  ///   - warmupSteps: number of steps in which the learning rate rises.
  ///   - learningRate: peak learning rate.
  package init(classes: Int, warmupSteps: Int, learningRate: Double) {
    (self.classes, self.warmupSteps, self.learningRate) = (classes, warmupSteps, learningRate)
  }

  /// Advises before training on photographs.
  /// - Parameters:
  ///   - images: number of training images.
  ///   - isPretrained: whether the run starts from weights that are trained.
  package mutating func beforeTraining(images: Int, isPretrained: Bool) -> String? {
    let each = images / max(1, classes)
    guard !isPretrained, each < Self.fewImages else { return nil }
    return say(
      .fewImages,
      "\(each) \(each == 1 ? "image" : "images") a class are few to learn from random weights: start from weights that were "
        + "trained on ImageNet, by --init FILE")
  }

  /// Advises after a step that is done.
  /// - Parameters:
  ///   - epoch: epoch, from 1.
  ///   - step: step of the run, from 1.
  ///   - loss: mean loss of the step's images.
  package mutating func afterStep(epoch: Int, step: Int, loss: Double) -> String? {
    if epoch != self.epoch { (self.epoch, losses) = (epoch, []) }
    losses.append(loss)
    if first.count < Self.compared { first.append(loss) }
    let guess = log(Double(classes))
    let last = mean(losses.suffix(Self.compared))
    if classes > 1, losses.count >= Self.compared, last > Self.tooLarge * max(guess, mean(first[...])) {
      return say(
        .explosion,
        "the loss explodes: it was \(lossText(mean(first[...]))) at the beginning and is \(lossText(last)) now; stop, and try a "
          + "lower learning rate, for example --learning-rate \(lowered)")
    }
    guard classes > 1, step >= warmupSteps + Self.patience, losses.count >= Self.patience else { return nil }
    let recent = mean(losses.suffix(Self.patience))
    guard recent > Self.tooLarge * guess else { return nil }
    return say(
      .largeLoss,
      "the loss is \(lossText(recent)), and a guess among \(classes) classes has \(lossText(guess)): lower the learning rate, "
        + "for example --learning-rate \(lowered), or check the images and their labels")
  }

  /// Advises after the validation of an epoch.
  /// - Parameters:
  ///   - epoch: epoch, from 1.
  ///   - step: steps of the run so far.
  ///   - loss: mean loss of the epoch.
  ///   - validationLoss: mean loss over the validation images.
  package mutating func afterEpoch(epoch: Int, step: Int, loss: Double, validationLoss: Double) -> String? {
    defer { losses = [] }
    let quarter = losses.count / 4
    if losses.count >= Self.fewestSteps, rises(from: losses.prefix(quarter), to: losses.suffix(quarter)) {
      return say(
        .risingLoss,
        "the loss rose in this epoch, from \(lossText(mean(losses.prefix(quarter)))) to "
          + "\(lossText(mean(losses.suffix(quarter)))): the learning rate is too large, try a tenth, --learning-rate \(lowered)")
    }
    let guess = log(Double(max(2, classes)))
    // The network may know the training images by heart in later epochs.
    if epoch == 1, step < Self.settledSteps, validationLoss > Self.farAbove * loss, validationLoss > 2 * guess {
      return say(
        .earlyStatistics,
        "the validation loss is far above the training loss after \(step) \(step == 1 ? "step" : "steps"): the statistics of batch "
          + "normalization need about \(Self.settledSteps), so train longer or with a smaller --batch-size")
    }
    return nil
  }

  private func rises(from first: ArraySlice<Double>, to last: ArraySlice<Double>) -> Bool {
    let (before, after) = (mean(first), mean(last))
    let error = (squaredError(first) + squaredError(last)).squareRoot()
    return after > Self.rise * before && after - before > Self.standardErrors * error
  }

  /// Square of the standard error of a mean.
  private func squaredError(_ values: ArraySlice<Double>) -> Double {
    let (mean, count) = (mean(values), Double(values.count))
    return values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / ((count - 1) * count)
  }

  private var lowered: String { "\(Float(learningRate / 10))" }

  private mutating func say(_ rule: Rule, _ text: String) -> String? { given.insert(rule).inserted ? text : nil }

  private func mean(_ values: ArraySlice<Double>) -> Double { values.reduce(0, +) / Double(max(1, values.count)) }
}
