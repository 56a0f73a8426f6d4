import Compute
import NN

/// Error thrown when the loss becomes NaN or infinite. The run cannot go on from there.
public struct Divergence: Error, CustomStringConvertible {
  public let description: String

  init(_ loss: String, step: Int, _ schedule: Schedule, _ folder: RunFolder) {
    let before = folder.holdsState ? "; checkpoints in \(folder.path) are from before" : ""
    description =
      "the \(loss) is not a number after step \(step): the training diverged; try a lower --learning-rate (it was "
      + "\(Float(schedule.rate(at: step - 1)))) or more --warmup-epochs\(before)"
  }
}
