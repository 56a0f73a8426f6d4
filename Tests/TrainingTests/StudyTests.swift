import CPUBackend
import Compute
import Datasets
import Foundation
import Models
import NN
import Support
import TestSupport
import Testing
import Training

@Suite struct StudyTests {
  private func plan(_ change: (inout RunConfiguration) -> Void = { _ in }, minutes: Double? = nil) -> StudyPlan {
    var recipe = RunConfiguration(model: ModelConfiguration(name: "plain8", classes: 4), dataset: "synthetic")
    change(&recipe)
    let networks = ["plain8", "resnet8"].map { StudyPlan.Network($0, ModelConfiguration(name: $0, classes: 4)) }
    return StudyPlan(.degradation, networks, seeds: [5, 6], recipe: recipe, minutes: minutes)
  }

  @Test func runsHaveTheirNetworkAndSeed() {
    let plan = plan { $0.batchSize = 7 }
    #expect(plan.runs.map(\.name) == ["plain8-seed5", "resnet8-seed5", "plain8-seed6", "resnet8-seed6"])
    let settings = plan.configuration(of: plan.runs[3])
    #expect(settings.model.name == "resnet8" && settings.seed == 6 && settings.batchSize == 7 && !settings.recompute)
    let deep = StudyPlan.Network("deep", ModelConfiguration(name: "resnet8", classes: 4), recompute: true)
    #expect(plan.configuration(of: StudyPlan.Run(deep, seed: 0)).recompute)
  }

  /// A study goes on with the same settings only. Epochs that were measured stay.
  @Test func otherSettingsAreRefused() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/a/study"
      do {
        var study = try StudyFolder(path, for: plan(minutes: 3))
        #expect(!study.isResumed)
        try study.begin(epochs: 42, warmup: 0.5)
        try study.record(.diverged(step: 9), of: study.plan.runs[1])
        #expect(throws: Failure.self) { try StudyFolder(path, for: self.plan(minutes: 3)) }
      }
      do {
        let study = try StudyFolder(path, for: plan(minutes: 3))
        #expect(study.isResumed && study.plan.recipe.epochs == 42 && study.plan.recipe.warmupEpochs == 0.5)
        #expect(study.outcome(of: study.plan.runs[1]) == .diverged(step: 9) && study.outcome(of: study.plan.runs[0]) == nil)
      }
      for (other, places) in [
        (plan({ $0.optimizer.learningRate = 1 }, minutes: 3), "recipe.optimizer.learningRate"), (plan(minutes: 4), "minutes"),
        (plan { $0.epochs = 42 }, "minutes"), (plan({ $0.warmupEpochs = 3 }, minutes: 3), "recipe.warmupEpochs"),
      ] {
        let failure = #expect(throws: Failure.self) { try StudyFolder(path, for: other) }
        let text = failure?.description ?? ""
        #expect(text.contains("holds a study with other settings: ") && text.contains(places), "\(text)")
      }
    }
  }

  @Test func otherImagesAreRefused() throws {
    func plan(images count: Int) -> StudyPlan {
      let images = ImageSplits(SyntheticImages(count: count, validationCount: 8, classes: 4, size: 8).splits())
      return self.plan { $0.data.contents = SplitContents(images, trainingOn: images.train) }
    }
    try withTemporaryFolder { folder in
      do {
        var study = try StudyFolder(folder, for: plan(images: 32))
        try study.begin(epochs: 10, warmup: 1)
      }
      let failure = #expect(throws: Failure.self) { try StudyFolder(folder, for: plan(images: 40)) }
      #expect(failure?.description.contains("40 images to train on, not 32") == true, "\(String(describing: failure))")
      #expect(try StudyFolder(folder, for: plan(images: 32)).isResumed)
    }
  }

  @Test func damagedStudiesAreRefused() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/study"
      try Folder.make(path)
      try write(Array("{}".utf8), to: path + "/study.json")
      let damaged = #expect(throws: Failure.self) { try StudyFolder(path, for: self.plan()) }
      #expect(damaged?.kind == .damagedFile)
    }
  }

  /// Figures by hand: the variances of the means are 1/3 and 4/3, which gives 2.9 degrees of freedom and the quantile of two.
  @Test func differencesHaveWelchsInterval() {
    let (a, b) = (Sample([1, 2, 3]), Sample([2, 4, 6]))
    #expect(a.mean == 2 && a.deviation == 1 && b.deviation == 2)
    let difference = MeanDifference(a, minus: b)
    #expect(difference.difference == -2 && abs((difference.margin ?? 0) - 4.303 * (5.0 / 3).squareRoot()) < 1e-9)
    #expect(difference.verdict == .notSeparable)
    #expect(MeanDifference(Sample([11, 12, 13]), minus: Sample([1, 2, 3])).verdict == .higher)
    #expect(MeanDifference(Sample([1, 2, 3]), minus: Sample([11, 12, 13])).verdict == .lower)
    #expect(MeanDifference(Sample([1]), minus: b).verdict == .spreadUnknown && Sample([1]).deviation == nil)
    #expect(MeanDifference(Sample([2, 2]), minus: Sample([1, 1])).verdict == .spreadUnknown)
  }

  /// A probe takes its figures from a pass without fused operations. They are those of an ordinary pass.
  @Test(arguments: BlockNormalization.allCases, [ShortcutOption?.none, .projection])
  func probesSeeWhatTrainingSees(_ normalization: BlockNormalization, _ shortcut: ShortcutOption?) throws {
    let splits = SyntheticImages(seed: 3, count: 6, validationCount: 4, classes: 3, size: 8, channels: 1).splits()
    var run = RunConfiguration(
      model: ModelConfiguration(name: "resnet8", classes: 3, channels: 1, shortcut: shortcut, normalization: normalization),
      dataset: "synthetic")
    (run.seed, run.labelSmoothing) = (9, 0.1)
    let backend = CPUBackend(precision: .float64)
    let images = ImageSplits(splits).train
    let probe = try LayerProbe(run, images, on: backend)
    #expect(
      probe.layers.map(\.name) == ["conv1"] + (1...3).flatMap { ["layer\($0).0.conv1", "layer\($0).0.conv2"] })

    let model = try ResNet(run.model)
    try model.store.allocate(on: backend, seed: run.seed)
    let plan = EpochPlan(seed: 0, epoch: 0, count: 6, shuffle: true, augmentation: nil)
    let batch = try #require(try BatchLoader(images, on: backend).load(plan, batches: [0..<6]).batch(0))
    let metrics = try backend.tensor([3])
    backend.fill(metrics, with: 0)
    let optimizer = try Optimizer(model.store)
    try model.accumulateGradients(
      images: batch.x, labels: batch.labels, smoothing: 0.1, metrics: metrics, optimizer)
    let norms = Dictionary(
      uniqueKeysWithValues: try model.store.norms(of: model.store.gradientsArena).map { ($0.parameter.name, $0.norm) })
    for layer in probe.layers {
      let (found, expected) = (try #require(layer.gradient), try #require(norms["\(layer.name).weight"]))
      #expect(abs(found - expected) < 1e-9 * expected, "\(layer)")
      let (response, activation) = (try #require(layer.response), try #require(layer.activation))
      #expect(response > 0 && activation > 0)
      // A scale of 1 makes the variance of each channel 1, but for epsilon.
      if normalization == .batch { #expect(abs(response - 1) < 1e-2, "\(layer)") }
    }
    if normalization == .none {
      let weights = try backend.download(try #require(model.store["conv1.weight"]).value).doubles
      #expect(weights.contains { $0 != 0 } && probe.layers[0].response != 1)
    }
  }
}
