import Foundation
import NN
import Support
import Training

/// Settings that suit an optimizer, a number of epochs, or weights that are trained already.
extension RunConfiguration {
  /// Divisor of the learning rate for pretrained weights, which would be lost at the rate for random weights.
  static let fineTuningDivisor = 10.0

  /// Takes an optimizer with its default settings; the learning rate is a tenth if training starts from weights.
  public mutating func use(_ kind: Optimizer.Kind) {
    optimizer = .usual(kind)
    if initialWeights != nil { optimizer.learningRate /= Self.fineTuningDivisor }
  }

  /// Batch size that the learning rate of SGD is recommended for.
  private static let usualBatch = 128

  /// Returns the end of a sentence about a batch size that was chosen for the user: which rate suits it. It is empty for a rate
  /// that the user chose and for other optimizers than SGD.
  func advice(onRateForBatch size: Int) -> Message {
    var usual = self
    usual.use(optimizer.kind)
    let rate = optimizer.learningRate
    let images = Double(size) * Double(accumulate)
    guard optimizer.kind == .sgd, rate == usual.optimizer.learningRate, images != Double(Self.usualBatch) else { return "" }
    let scaled = String(format: "%.2g", rate * images / Double(Self.usualBatch))
    return """
      ; the learning rate stays \(rate), and the linear rule (Goyal et al. 2017) suggests \(Setting.learningRate, scaled) for \
      such a batch
      """
  }
}
