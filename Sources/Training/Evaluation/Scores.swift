import Compute
import Glibc

/// Logarithmic probabilities that a classifier gives the images of a batch.
public struct Scores: Sendable {
  /// Number of classes, K.
  public let classes: Int
  /// Natural logarithms of the probabilities, ln p, [N,K].
  public let logProbabilities: [Double]

  /// Number of images, N.
  public var count: Int { logProbabilities.count / classes }

  /// Averages the probabilities over views of the same images.
  /// - Parameters:
  ///   - outputs: network outputs for each view, [N,K] each; at least one view.
  ///   - areProbabilities: whether the outputs are probabilities p rather than logits.
  init(_ outputs: [HostTensor], areProbabilities: Bool) {
    let classes = outputs[0].shape[1]
    self.classes = classes
    let views = outputs.map { Self.logProbabilities($0.doubles, classes, areProbabilities: areProbabilities) }
    guard views.count > 1 else {
      logProbabilities = views[0]
      return
    }
    logProbabilities = views[0].indices.map { i in
      Self.logarithm(views.map { exp($0[i]) }.reduce(0, +) / Double(views.count))
    }
  }

  private static func logProbabilities(_ values: [Double], _ classes: Int, areProbabilities: Bool) -> [Double] {
    if areProbabilities { return values.map(logarithm) }
    var result = values
    for begin in stride(from: 0, to: values.count, by: classes) {
      let row = begin..<begin + classes
      let largest = values[row].max() ?? 0
      let sum = largest + log(values[row].reduce(0) { $0 + exp($1 - largest) })
      for i in row { result[i] = values[i] - sum }
    }
    return result
  }

  /// Returns the natural logarithm of a probability. A probability that is rounded to zero counts as the smallest normal float32,
  /// so that a loss stays finite.
  private static func logarithm(_ p: Double) -> Double { log(max(p, Double(Float.leastNormalMagnitude))) }

  /// Returns ln p of one image, [K].
  public func row(_ image: Int) -> ArraySlice<Double> { logProbabilities[image * classes..<(image + 1) * classes] }

  /// Returns the most probable classes of one image, the most probable first. Of equally probable classes, the one with the lower
  /// index comes first.
  public func top(_ count: Int, of image: Int) -> [(label: Int, probability: Double)] {
    let row = Array(row(image))
    return row.indices.sorted { (-row[$0], $0) < (-row[$1], $1) }.prefix(count).map { (label: $0, probability: exp(row[$0])) }
  }

  /// Logits [N,K] of these probabilities: the logarithms, relative to the largest of each image, so that probabilities that are
  /// almost the largest stay different in float32.
  var logits: HostTensor {
    let shifted = stride(from: 0, to: logProbabilities.count, by: classes).flatMap { begin in
      let row = logProbabilities[begin..<begin + classes]
      let largest = row.max() ?? 0
      return row.map { $0 - largest }
    }
    return HostTensor(shifted, shape: [count, classes])
  }
}
