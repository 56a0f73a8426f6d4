import Datasets
import NN
import Training

/// Settings that suit an optimizer, a data set, or weights that are trained already.
extension RunConfiguration {
  /// Divisor of the learning rate for pretrained weights, which would be lost at the rate for random weights.
  static let fineTuningDivisor = 10.0

  /// Returns the learning rate and the weight decay that suit an optimizer. AdamW's are PyTorch's. LARS's rate follows You et al.,
  /// who train ResNet-50 with batches of 8,192 at 6.4 · 0.001 times the norm.
  package static func usual(_ optimizer: Optimizer.Kind) -> (learningRate: Double, weightDecay: Double) {
    switch optimizer {
    case .sgd: (0.1, 5e-4)
    case .adamW: (1e-3, 1e-2)
    case .lars: (6.4, 5e-4)
    }
  }

  /// Takes an optimizer, with the learning rate and the weight decay that suit it; the rate is a tenth if training starts from
  /// weights.
  public mutating func use(_ optimizer: Optimizer.Kind) {
    self.optimizer = optimizer
    (learningRate, weightDecay) = Self.usual(optimizer)
    if initialWeights != nil { learningRate /= Self.fineTuningDivisor }
  }

  /// Returns the warm-up that suits a number of epochs: a tenth of them, one at most.
  package static func usualWarmup(ofEpochs epochs: Int) -> Double { min(1, Double(epochs) / 10) }

  /// Takes the random crops and flips that suit a data set.
  package mutating func useUsualAugmentation(of kind: DatasetKind) {
    randomCrop = imageSize.flatMap(kind.defaultCrop)
    augmentation = kind.defaultAugmentation
  }
}
