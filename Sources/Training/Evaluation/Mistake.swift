import Compute
import Glibc
import Images

/// An image that a network took for another class than its own.
///
/// ```swift
/// func show(_ evaluation: Evaluation) {
///   for mistake in evaluation.worst {
///     print(mistake.path, evaluation.classes[mistake.label], evaluation.classes[mistake.prediction], mistake.probability)
///   }
/// }
/// ```
public struct Mistake: Hashable, Codable, Sendable {
  /// Number of the image in its data set; see ``ImageItem/sample``.
  public var sample: Int
  /// Path of the image's file; empty if the data set knows the image by its number.
  public var path: String
  /// Class of the image, and the class that it was taken for.
  public var label, prediction: Int
  /// Probability that the network gives the class that it took the image for, 0 to 1.
  public var probability: Double
  /// Probability that the network gives the image's own class, 0 to 1.
  public var labelProbability: Double

  /// Whether the network was surer of this mistake than of another one: it gives the wrong class a higher probability, or else
  /// the right class a lower one. Of equal mistakes, that with the lower number comes first.
  func isWorse(than other: Mistake) -> Bool {
    (-probability, labelProbability, sample) < (-other.probability, other.labelProbability, other.sample)
  }
}

/// Collects the mistakes that a network is most sure of.
struct WorstMistakes {
  /// The mistakes, the worst first.
  private(set) var mistakes: [Mistake] = []
  private let limit: Int

  /// - Parameter limit: maximum number of mistakes to keep.
  init(limit: Int) { self.limit = limit }

  /// Takes the images of a batch that were classified wrongly.
  /// - Parameters:
  ///   - predictions: the class that each image was taken for.
  ///   - logits: outputs of the network [N,K].
  mutating func add(_ items: [ImageItem], _ predictions: [Int], _ logits: HostTensor) {
    guard limit > 0, zip(items, predictions).contains(where: { Int($0.label) != $1 }) else { return }
    let scores = Scores([logits], areProbabilities: false)
    for (index, item) in items.enumerated() where Int(item.label) != predictions[index] {
      let row = Array(scores.row(index))
      add(
        Mistake(
          sample: item.sample, path: item.path, label: Int(item.label), prediction: predictions[index],
          probability: exp(row[predictions[index]]), labelProbability: exp(row[Int(item.label)])))
    }
  }

  private mutating func add(_ mistake: Mistake) {
    if mistakes.count == limit, let last = mistakes.last {
      guard mistake.isWorse(than: last) else { return }
      mistakes.removeLast()
    }
    mistakes.insert(mistake, at: mistakes.firstIndex { mistake.isWorse(than: $0) } ?? mistakes.endIndex)
  }
}
