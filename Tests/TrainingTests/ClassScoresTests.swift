import CPUBackend
import Checkpoints
import Compute
import Datasets
import Support
import Testing
import Training

/// Tests precision, recall and F1 against values of scikit-learn's `classification_report(labels, predictions, zero_division=0)`.
@Suite struct ClassScoresTests {
  /// Evaluates images of these labels that are taken for these classes.
  private func evaluation(_ labels: [Int32], _ predictions: [Int], classes: Int) throws -> Evaluation {
    let logits = predictions.flatMap { prediction in (0..<classes).map { $0 == prediction ? 1 : 0 as Float } }
    let images = Dataset(
      name: "logits", images: HostTensor(logits, shape: [labels.count, 1, classes, 1]),
      labels: HostTensor(labels, shape: [labels.count]), classes: (0..<classes).map(String.init),
      normalization: .none(channels: 1))
    let classifier = FirstPixels(classes: classes)
    return try #require(try classifier.evaluate(BatchLoader(images, on: classifier.backend), batchSize: 4))
  }

  private func expect(_ scores: ClassScores, _ expected: [Double], _ support: Int) {
    #expect(scores.support == support)
    for (a, b) in zip([scores.precision, scores.recall, scores.f1], expected) { #expect(abs(a - b) < 1e-12, "\(a), not \(b)") }
  }

  /// Two of three cats are right, one of two dogs, and one of one bird. One cat is taken for a dog, and one dog for a cat.
  @Test func scoresAreThoseOfTheDefinition() throws {
    let found = try evaluation([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 0, 2], classes: 3)
    expect(found.perClass[0].scores, [2.0 / 3, 2.0 / 3, 2.0 / 3], 3)
    expect(found.perClass[1].scores, [0.5, 0.5, 0.5], 2)
    expect(found.perClass[2].scores, [1, 1, 1], 1)
    expect(found.averages.macro, [13.0 / 18, 13.0 / 18, 13.0 / 18], 6)
    expect(found.averages.weighted, [2.0 / 3, 2.0 / 3, 2.0 / 3], 6)
    #expect(abs(found.averages.balancedAccuracy - 13.0 / 18) < 1e-12)
    #expect(found.neverPredicted.isEmpty && found.predictedWithoutImages.isEmpty)
  }

  /// Of five classes one is never predicted, one has no images and is predicted, and one is absent. The absent one does not count
  /// in the means, the other two count as 0. The balanced accuracy is that of the classes with images.
  @Test func undefinedScoresAreZero() throws {
    let found = try evaluation([0, 0, 0, 0, 1, 1], [0, 0, 0, 2, 0, 2], classes: 5)
    expect(found.perClass[0].scores, [0.75, 0.75, 0.75], 4)
    expect(found.perClass[1].scores, [0, 0, 0], 2)
    expect(found.perClass[2].scores, [0, 0, 0], 0)
    expect(found.averages.macro, [0.25, 0.25, 0.25], 6)
    expect(found.averages.weighted, [0.5, 0.5, 0.5], 6)
    #expect(abs(found.averages.balancedAccuracy - 0.375) < 1e-12)
    #expect(found.neverPredicted == ["class 1"] && found.predictedWithoutImages == ["class 2"])
  }
}
