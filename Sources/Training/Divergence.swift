import NN
import Support

extension Failure {
  /// Returns the error for a loss that became NaN or infinite. The run cannot go on from there.
  static func divergence(of loss: String, step: Int, _ schedule: Schedule, _ folder: RunFolder?) -> Failure {
    let before = folder.flatMap { $0.holdsProgress ? "; checkpoints in \($0.path) are from before" : nil } ?? ""
    let warmup: Message = schedule.kind == .oneCycle ? "" : " or more \(Setting.warmupEpochs)"
    return Failure(
      .diverged,
      "the \(loss) is not a number after step \(step): the training diverged; try a lower \(Setting.learningRate) (it was "
        + "\(Float(schedule.rate(at: step - 1))))\(warmup)\(before)")
  }
}
