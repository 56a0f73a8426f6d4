import CPUBackend
import Datasets
import Foundation
import Models
import Support
import TestSupport
import Testing
import Training

@Suite struct LayerRecordTests {
  /// Checks the norms against the weights: without momentum and decay, a step moves them by the learning rate times the gradient.
  @Test func normsAreThoseOfTheLastStepOfAnEpoch() throws {
    let splits = SyntheticImages(seed: 3, count: 8, validationCount: 4, classes: 2, size: 8, channels: 1).splits()
    var run = RunConfiguration(model: ModelConfiguration(name: "resnet8", classes: 2, channels: 1), dataset: "synthetic")
    run.optimizer = .sgd(learningRate: 0.5, momentum: 0, weightDecay: 0)
    (run.epochs, run.batchSize, run.accumulate, run.warmupEpochs, run.schedule) = (1, 4, 2, 0, .constant)
    run.clipNorm = 1e9
    try withTemporaryFolder { folder in
      let backend = CPUBackend(precision: .float64)
      let trainer = try Trainer(run, splits, on: backend, folder: RunFolder(creating: folder + "/a"))
      let before = try trainer.model.store.stateDictionary()
      #expect(try trainer.run() == .finished)
      let after = try trainer.model.store.stateDictionary()
      let records = try RunFolder(existing: folder + "/a").layers()
      let record = try #require(records.first)
      #expect(records.count == 1 && record.epoch == 1 && record.step == 1)
      let trained = zip(before, after).filter { !$0.0.name.contains("running") }
      #expect(record.parameters.map(\.name) == trained.map(\.0.name))
      for (parameter, (old, new)) in zip(record.parameters, trained) {
        let moved = zip(old.tensor.doubles, new.tensor.doubles).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
        #expect(abs(parameter.gradient - moved / 0.5) < 1e-9 * parameter.gradient, "\(parameter)")
        let norm = new.tensor.doubles.reduce(0) { $0 + $1 * $1 }.squareRoot()
        #expect(abs(parameter.weight - norm) <= 1e-12 * norm, "\(parameter)")
      }
    }
  }

  @Test func linesThatWereCutOffDoNotCount() throws {
    try withTemporaryFolder { folder in
      let line = #"{"kind":"layers","epoch":1,"step":3,"gradient_norms":{"a":1.5,"b":null},"weight_norms":{"a":2,"b":0.5}}"#
      try write(Array("\(line)\n\(line.dropLast(9))".utf8), to: "\(folder)/layers.jsonl")
      let records = try RunFolder(existing: folder).layers()
      #expect(records.count == 1 && records[0].parameters.map(\.name) == ["a", "b"])
      #expect(records[0].parameters[1].gradient.isNaN && records[0].parameters[0].weight == 2)
      #expect(try RunFolder(existing: "\(folder)/none").layers().isEmpty)
    }
  }
}
