import Compute
import NN
import Support

/// Gradient-weighted class activation maps (Grad-CAM): Selvaraju et al. 2017, "Grad-CAM: Visual explanations from deep networks
/// via gradient-based localization".
///
/// Let A [h,w,F] be the activations of the last stage and y the logit of a class. The weight of channel f is the mean of ∂y/∂A
/// over the pixels of f, and the map is ReLU(Σ_f weight_f · A_f), [h,w]. Batch normalization uses the running statistics.
///
/// ```swift
/// /// Maps [N,h,w] of the first class.
/// func maps(_ network: ResNet, _ images: Tensor) throws -> HostTensor {
///   try GradCAM(network)(images) { logits in [Int](repeating: 0, count: logits.shape[0]) }.maps
/// }
/// ```
public final class GradCAM {
  private let network: ResNet
  private let folded = FoldedParameters()

  /// - Parameter network: network with its weights on a device. It is frozen as a whole, so that it cannot be trained any more.
  public init(_ network: ResNet) {
    self.network = network
    network.store.freezeAll()
  }

  /// Computes the maps of a batch.
  /// - Parameters:
  ///   - images: normalized images [N,H,W,C].
  ///   - choose: returns the class of each image for which its map is computed, given the logits [N,K].
  /// - Returns: logits [N,K], and maps [N,h,w] of values ≥ 0 in the unit of the logits, both float32.
  /// - Throws: ``Failure`` for images that do not fit the network; errors of `choose`; errors of the backend.
  /// - Precondition: `choose` returns N numbers, each below K.
  public func callAsFunction(
    _ images: Tensor, choosing choose: (_ logits: HostTensor) throws -> [Int]
  ) throws -> (logits: HostTensor, maps: HostTensor) {
    let backend = network.store.backend
    let activations = try network.lastStage(
      of: Variable(images), Pass(on: backend, mode: .inference, folded: folded)
    ).value
    // Only what follows the activations is differentiated. All of it is frozen, so the gradient of A is the only one.
    let slot = GradientSlot()
    let pass = Pass(on: backend, mode: .training)
    let output = try network.logits(ofLastStage: Variable(activations, slot: slot), pass)
    let logits = try backend.download(output.value)
    let oneHot = Self.oneHot(try choose(logits), logits.shape)
    try output.slot?.add(try backend.uploadBatch(oneHot), on: backend)
    try withExtendedLifetime(output) { try pass.backward() }
    guard let gradient = slot.take() else { preconditionFailure("[GradCAM] no gradient came to the last stage") }
    return (logits, Self.maps(try backend.download(activations), try backend.download(gradient)))
  }

  private static func oneHot(_ labels: [Int], _ shape: Shape) -> HostTensor {
    precondition(
      labels.count == shape[0] && labels.allSatisfy((0..<shape[1]).contains), "[GradCAM] classes \(labels) of \(shape)")
    var values = [Float](repeating: 0, count: shape.count)
    for (row, label) in labels.enumerated() { values[row * shape[1] + label] = 1 }
    return HostTensor(values, shape: shape)
  }

  /// Weighs the activations [N,h,w,F] by the means of their gradients and adds the channels up, in double precision.
  private static func maps(_ activations: HostTensor, _ gradients: HostTensor) -> HostTensor {
    let (a, g) = (activations.floats, gradients.floats)
    let (count, height, width, channels) = (
      activations.shape[0], activations.shape[1], activations.shape[2], activations.shape[3]
    )
    let pixels = height * width
    var maps: [Float] = []
    maps.reserveCapacity(count * pixels)
    for image in 0..<count {
      let begin = image * pixels * channels
      var weights = [Double](repeating: 0, count: channels)
      for pixel in 0..<pixels {
        for f in 0..<channels { weights[f] += Double(g[begin + pixel * channels + f]) }
      }
      for pixel in 0..<pixels {
        var sum = 0.0
        for f in 0..<channels { sum += weights[f] * Double(a[begin + pixel * channels + f]) }
        maps.append(Float(max(0, sum / Double(pixels))))
      }
    }
    return HostTensor(maps, shape: [count, height, width])
  }
}
