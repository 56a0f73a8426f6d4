/// Precision, recall and F1 of a class, or their mean over classes, as in scikit-learn's `classification_report`.
public struct ClassScores: Sendable, Hashable {
  /// Share of the images taken for the class that are of it; 0 if none was taken for it.
  public var precision: Double
  /// Share of the images of the class that were taken for it; 0 for a class without images.
  public var recall: Double
  /// Harmonic mean of precision and recall; 0 if both are.
  public var f1: Double
  /// Number of images of the class, or of all classes.
  public var support: Int

  /// - Parameters:
  ///   - right: number of images of the class that were taken for it.
  ///   - taken: number of images that were taken for the class.
  ///   - support: number of images of the class.
  init(right: Int, taken: Int, support: Int) {
    func share(_ count: Int, of all: Int) -> Double { all == 0 ? 0 : Double(count) / Double(all) }
    (precision, recall) = (share(right, of: taken), share(right, of: support))
    (f1, self.support) = (share(2 * right, of: taken + support), support)
  }

  /// Computes the weighted mean of scores.
  init(mean scores: [ClassScores], weights: [Double]) {
    let sum = weights.reduce(0, +)
    func mean(_ score: KeyPath<ClassScores, Double>) -> Double {
      sum == 0 ? 0 : zip(scores, weights).reduce(0) { $0 + $1.0[keyPath: score] * $1.1 } / sum
    }
    (precision, recall, f1) = (mean(\.precision), mean(\.recall), mean(\.f1))
    support = scores.reduce(0) { $0 + $1.support }
  }
}

extension Evaluation.ClassRecord {
  /// Precision, recall and F1 of the class.
  public var scores: ClassScores { ClassScores(right: right, taken: taken, support: images) }
}

extension Evaluation {
  /// Means of the classes' scores. As in scikit-learn, classes that have no images and were never predicted do not count.
  public struct Averages: Sendable, Hashable {
    /// Plain mean, in which each class counts alike.
    public let macro: ClassScores
    /// Mean in which each class counts by its number of images.
    public let weighted: ClassScores
    /// Mean recall of the classes that have images. It is the recall of ``macro`` if no other class was predicted.
    public let balancedAccuracy: Double
  }

  /// Means of the classes' scores.
  public var averages: Averages {
    let scores = perClass.filter { $0.images > 0 || $0.taken > 0 }.map(\.scores)
    let present = scores.filter { $0.support > 0 }
    return Averages(
      macro: ClassScores(mean: scores, weights: scores.map { _ in 1 }),
      weighted: ClassScores(mean: scores, weights: scores.map { Double($0.support) }),
      balancedAccuracy: ClassScores(mean: present, weights: present.map { _ in 1 }).recall)
  }

  /// Names of the classes with images that no image was taken for, whose precision therefore counts as 0.
  public var neverPredicted: [String] { perClass.filter { $0.images > 0 && $0.taken == 0 }.map(\.name) }
  /// Names of the classes without images that images were taken for, whose recall therefore counts as 0.
  public var predictedWithoutImages: [String] { perClass.filter { $0.images == 0 && $0.taken > 0 }.map(\.name) }
}
