import NN
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

  /// Returns the warm-up that suits a number of epochs: a tenth of them, one at most.
  package static func usualWarmup(ofEpochs epochs: Int) -> Double { min(1, Double(epochs) / 10) }
}
