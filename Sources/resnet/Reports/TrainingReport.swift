import Datasets
import ResNetKit
import Support
import Training

/// Report of a run while it trains: its progress, a line for each epoch, and advice.
final class TrainingReport {
  private let epochs, stepsPerEpoch: Int
  private var advice: Advice

  /// - Parameter images: training images that are used.
  init(_ trainer: Trainer, _ images: any ImageSource) {
    let progress = RunProgress(stepsPerEpoch: trainer.stepsPerEpoch, totalSteps: trainer.totalSteps, step: trainer.step)
    (stepsPerEpoch, epochs) = (trainer.stepsPerEpoch, progress.epochs)
    let run = trainer.configuration
    advice = Advice(
      classes: images.classes.count, warmupSteps: Int(min(1e9, run.warmupEpochs * Double(trainer.stepsPerEpoch)).rounded()),
      learningRate: run.optimizer.learningRate)
    if run.data.photographs != nil {
      warn(advice.beforeTraining(images: images.count, isPretrained: run.initialWeights != nil || trainer.step > 0))
    }
    Display.shared.begin(progress)
  }

  func report(_ event: TrainingEvent) {
    switch event {
    case .progress(let progress): report(progress)
    case .step: break
    case .epoch(let record):
      // The kernels of training and of validation have run.
      DriverStarts.end()
      printNote(line(record))
      warn(advice.afterEpoch(epoch: record.epoch, step: record.step, loss: record.loss, validationLoss: record.validationLoss))
    }
  }

  private func report(_ progress: TrainingProgress) {
    switch progress {
    case .step(let epoch, let step, let images, let loss, let accuracy):
      Display.shared.advance(
        to: RunProgress.Step(
          epoch: epoch, stepOfEpoch: step - (epoch - 1) * stepsPerEpoch, step: step, images: images, loss: loss,
          accuracy: accuracy))
      warn(advice.afterStep(epoch: epoch, step: step, loss: loss))
    case .validation(_, let done, let total): Display.shared.advance(.validating, to: done, of: total)
    case .saved(let step): printNote("saved at step \(grouped(step)), as a signal asked for it; training goes on")
    }
  }

  /// Line of an epoch. On a terminal where it is too long, it has shorter names, and is broken between its fields.
  private func line(_ record: EpochRecord) -> String {
    let waiting =
      record.waiting >= 0.1 ? ["\(percentText(record.waiting, 0)) of it waiting for images"] : []
    func fields(_ accuracy: String, _ validation: String) -> [String] {
      [
        "epoch \(grouped(record.epoch))/\(grouped(epochs))", "loss \(lossText(record.loss))",
        "\(accuracy) \(percentText(record.accuracy, 2))", "\(validation) loss \(lossText(record.validationLoss))",
        "\(validation) \(accuracy) \(percentText(record.validationAccuracy, 2))",
      ]
    }
    let speed = ["\(rateText(record.imagesPerSecond)) images/s"] + waiting
    let long = fields("accuracy", "validation")
    guard let width = Display.shared.terminalWidth else { return (long + speed).joined(separator: "  ") }
    let line = flowed(long, optional: speed, width: width)
    return line.contains("\n") ? flowed(fields("acc", "val"), optional: speed, width: width) : line
  }

  private func warn(_ advice: String?) { if let advice { printError("warning: \(advice)") } }
}
