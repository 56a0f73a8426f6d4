import CPUBackend
import Compute
import Datasets
import Foundation
import Models
import Support
import TestSupport
import Testing
import Training

/// Tests the weights of classes: their files, and what a run makes of them.
@Suite struct ClassWeightsTests {
  private let temporary: TemporaryFolder
  private static let classes = ["ant", "bee, honey", "cat"]

  init() throws { temporary = try TemporaryFolder() }

  private func read(_ text: String) throws -> ClassWeights {
    let path = "\(temporary.path)/weights.csv"
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
    return try ClassWeights(contentsOf: path, classes: Self.classes)
  }

  @Test(arguments: [
    "class,weight\ncat,3\nant,1\n\"bee, honey\",0.5\n", "cat,3\n\nant, 1 \nbee, honey,5e-1", "1\n0.5\n3\n", "1\n\n0.5\r\n3",
    "\u{FEFF}Class; Weight\r\ncat;3\r\nant;1\r\n\"bee, honey\";0.5\r\n",
  ])
  func filesAreRead(_ text: String) throws { #expect(try read(text) == .values([1, 0.5, 3])) }

  @Test(arguments: [
    ("ant,1\ndog,2\n", "line 2: there is no class 'dog'"),
    ("ant,1\nbat,2\n", "line 2: there is no class 'bat'; the nearest is 'cat'"),
    ("ant,1\nant,2\n", "line 2: the class 'ant' has a weight already"),
    ("class,weight\nant,-1\n", "line 2: '-1' is no weight of the class 'ant': a number from 0 is needed"),
    ("ant,\n", "line 1: '' is no weight of the class 'ant': a number from 0 is needed"),
    ("ant,nan\n", "line 1: 'nan' is no weight of the class 'ant': a number from 0 is needed"),
    ("ant,1\nbee\n", "line 2: 'bee' is not a class and its weight, class,weight"),
    ("ant,1\ncat,1\n", "no line for the class 'bee, honey': give it a weight, perhaps 1"),
    ("1\n2\n", "2 weights, one a line, for 3 classes: ant, bee, honey, cat"), ("", "0 weights, one a line, for 3 classes"),
    ("1\ntwo\n3\n", "line 2: 'two' is no weight of the class 'bee, honey': a number from 0 is needed"),
    ("\u{1B}[31m,1\n", "line 1: there is no class '\\u{1B}[31m'"),
  ])
  func wrongFilesAreRefused(_ text: String, _ expected: String) throws {
    let failure = try #require(#expect(throws: Failure.self) { _ = try read(text) })
    #expect(failure.description.contains("weights.csv: \(expected)"), "\(failure)")
  }

  @Test func aFileThatIsNoTextIsRefused() throws {
    let path = "\(temporary.path)/weights.csv"
    try Data([0xFF, 0xFE, 0x00]).write(to: URL(fileURLWithPath: path))
    let failure = try #require(
      #expect(throws: Failure.self) { _ = try ClassWeights(contentsOf: path, classes: Self.classes) })
    #expect(failure.description.contains("weights.csv: line 1: it is not in UTF-8"), "\(failure)")
  }

  // MARK: Runs

  /// Returns images of two classes, of which one has seven images and the other one, and a class without images if it is asked
  /// for.
  private func splits(emptyClass: Bool = false) -> DatasetSplits {
    let known = SyntheticImages(count: 8, validationCount: 4, classes: 2, size: 8).splits()
    let labels: [Int32] = [0, 1, 0, 0, 0, 0, 0, 0]
    let train = Dataset(
      name: "uneven", images: known.train.images, labels: HostTensor(labels, shape: [8]),
      classes: emptyClass ? ["many", "few", "none"] : ["many", "few"], normalization: known.train.normalization)
    return DatasetSplits(train: train, validation: known.validation)
  }

  private func run(_ splits: DatasetSplits, _ weights: ClassWeights?) throws -> (notes: [String], losses: [Double], weights: Data)
  {
    var run = RunConfiguration(
      model: ModelConfiguration(name: "resnet8", classes: splits.train.classes.count, channels: 3), dataset: "uneven")
    (run.epochs, run.batchSize, run.classWeights, run.seed) = (2, 4, weights, 3)
    let name = "\(temporary.path)/\(UUID().uuidString)"
    let trainer = try Trainer(run, splits, on: CPUBackend(), folder: RunFolder(creating: name), logEvery: 1)
    var losses: [Double] = []
    _ = try trainer.run(report: { if case .step(let step) = $0 { losses.append(step.loss) } })
    #expect(try RunFolder(existing: name).configuration().classWeights == weights)
    return (trainer.notes, losses, try Data(contentsOf: URL(fileURLWithPath: "\(name)/last.safetensors")))
  }

  /// Checks scikit-learn's formula, N / (K·n): 8 / (2 · 7) and 8 / (2 · 1).
  @Test func balancedWeightsAreInverseToTheCounts() throws {
    let balanced = try run(splits(), .balanced)
    #expect(balanced.notes.contains("weights of the classes in the loss: many 0.5714286, few 4.0"))
    let stated = try run(splits(), .values([8.0 / 14, 4]))
    #expect(balanced.losses == stated.losses && balanced.weights == stated.weights)
    #expect(try run(splits(), nil).losses != stated.losses)
  }

  @Test func aClassWithoutImagesHasNoWeight() throws {
    let notes = try run(splits(emptyClass: true), .balanced).notes
    #expect(
      notes.contains(
        "weights of the classes in the loss: many 0.5714286, few 4.0, none 0.0; 0 as there are no images of them: none"))
  }

  /// Equal weights leave the loss as it is, up to rounding, since it is divided by their sum.
  @Test func equalWeightsAreWithoutEffect() throws {
    let (plain, equal) = (try run(splits(), nil), try run(splits(), .values([2, 2])))
    for (a, b) in zip(plain.losses, equal.losses) { #expect(abs(a - b) <= 1e-5 * abs(a)) }
    #expect(plain.losses.count == 4 && equal.losses.count == 4)
  }

  @Test(arguments: [
    (ClassWeights.values([1, -1]), "classWeights -1.0: that of class 1 must be from 0 to 1e30"),
    (.values([1, .infinity]), "classWeights inf: that of class 1 must be from 0 to 1e30"),
    (.values([0, 0]), "classWeights: all are 0, and one above it is needed"),
    (.values([1, 1, 1]), "classWeights: 3 weights for 2 classes: state one for each class"),
  ])
  func impossibleWeightsAreRefused(_ weights: ClassWeights, _ expected: String) throws {
    let failure = try #require(#expect(throws: Failure.self) { _ = try run(splits(), weights) })
    #expect(failure.description == expected)
  }
}
