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

  /// Warm-up that suits the number of epochs: a tenth of them, one at most; none for a schedule that has a rise of its own.
  package var usualWarmup: Double { schedule == .oneCycle ? 0 : min(1, Double(epochs) / 10) }
}
