import CPUBackend
import Compute
import Datasets
import Foundation
import Images
import Models
import Support
import TestSupport
import Testing
import Training

/// Tests epochs that draw their images from all classes with equal probability.
@Suite struct BalancedSamplingTests {
  /// Labels of 300 images: 267 of class 0, 30 of class 2, 3 of class 3, and none of class 1.
  private static let labels = (0..<300).map { $0 % 100 == 7 ? 3 : $0 % 10 == 4 ? 2 : 0 } as [Int32]

  private func plan(seed: UInt64 = 1, epoch: Int = 0, _ augmentation: Augmentation? = nil) -> EpochPlan {
    EpochPlan(seed: seed, epoch: epoch, balancing: Self.labels, augmentation: augmentation)
  }

  private func counts(_ values: [Int]) -> [Int: Int] { values.reduce(into: [:]) { $0[$1, default: 0] += 1 } }

  /// The number of rows of a class has the mean 100 in an epoch, and the deviation √(300·⅓·⅔) ≈ 8.2. Over 100 epochs the
  /// deviation of the mean is 0.82; the bound is five of them.
  @Test func classesAreDrawnAlike() {
    let drawn = counts((0..<100).flatMap { plan(epoch: $0).order.map { Int(Self.labels[$0]) } })
    #expect(Set(drawn.keys) == [0, 2, 3] && drawn.values.reduce(0, +) == 30_000)
    for count in drawn.values { #expect(abs(Double(count) / 100 - 100) < 4.1, "\(drawn)") }
  }

  /// A sample comes again only after all others of its class have come.
  @Test func samplesOfAClassTakeTurns() {
    for epoch in 0..<5 {
      for (label, drawn) in Dictionary(grouping: plan(epoch: epoch).order, by: { Self.labels[$0] }) {
        let times = Self.labels.indices.filter { Self.labels[$0] == label }.map { counts(drawn)[$0] ?? 0 }
        #expect((times.max() ?? 0) - (times.min() ?? 0) <= 1, "class \(label): \(times)")
        #expect(times.reduce(0, +) == drawn.count)
      }
    }
  }

  @Test func theSameSeedAndEpochGiveTheSameOrder() {
    #expect(plan().order == plan().order && plan().rows.bytes == plan().rows.bytes)
    #expect(plan().order != plan(epoch: 1).order)
    #expect(plan().order != plan(seed: 2).order)
    #expect(plan().count == Self.labels.count)
  }

  /// The three images of class 3 come 33 times each. A crop with a border of 4 pixels and mirroring have 162 forms.
  @Test func samplesThatComeAgainAreChangedDifferently() {
    let plan = plan(Augmentation(crop: .padded(pixels: 4), flip: true))
    let rows = plan.rows.elements(as: Int32.self)
    let forms = plan.order.indices.filter { Self.labels[plan.order[$0]] == 3 }
      .map { Array(rows[$0 * BatchPlan.viewColumns..<($0 + 1) * BatchPlan.viewColumns]) }
    #expect(forms.count > 60)
    #expect(Set(forms).count > forms.count * 2 / 3)
    // An image that comes once has the form that it has in an epoch with each image once.
    let usual = EpochPlan(seed: 1, epoch: 0, count: 300, shuffle: false, augmentation: plan.augmentation)
    let all = usual.rows.elements(as: Int32.self)
    for (index, times) in counts(plan.order) where times == 1 {
      let row = plan.order.firstIndex(of: index) ?? 0
      let columns = BatchPlan.viewColumns
      #expect(rows[row * columns..<(row + 1) * columns].elementsEqual(all[index * columns..<(index + 1) * columns]))
    }
  }

  // MARK: Loading

  /// Images whose classes have 40, 4 and 1 images.
  private static let images: Dataset = {
    let known = SyntheticImages(seed: 2, count: 45, validationCount: 6, classes: 3, size: 8).splits().train
    let labels = (0..<45).map { $0 == 44 ? 2 : $0 >= 40 ? 1 : 0 } as [Int32]
    return Dataset(
      name: "uneven", images: known.images, labels: HostTensor(labels, shape: [45]), classes: ["a", "b", "c"],
      normalization: known.normalization)
  }()

  /// Loads all batches of a balanced epoch.
  private func load(_ augmentation: Augmentation, streams: Bool) throws -> [HostTensor] {
    let backend = CPUBackend()
    let loader = try BatchLoader(Self.images, augmentation: augmentation, streams: streams, on: backend)
    let plan = EpochPlan(
      seed: 4, epoch: 2, balancing: Self.images.labels.elements(as: Int32.self), augmentation: augmentation)
    let loaded = try loader.load(plan, batches: plan.batches(of: 9, keepShort: false))
    var tensors: [HostTensor] = []
    for index in loaded.batches.indices {
      let batch = try #require(try loaded.batch(index))
      tensors += [try backend.download(batch.x), try backend.download(batch.labels)]
    }
    return tensors
  }

  /// Images that threads load one batch at a time are changed as those that lie on the device, and erased in the same places.
  @Test func streamedImagesAreThoseOnTheDevice() throws {
    var augmentation = Augmentation(crop: .padded(pixels: 2), flip: true)
    augmentation.randomErasing = RandomErasing(probability: 0.5)
    let resident = try load(augmentation, streams: false)
    #expect(resident.count == 10)
    #expect(try load(augmentation, streams: true) == resident)
  }
}
