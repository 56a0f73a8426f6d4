import CPUBackend
import Compute
import Models
import NN
import Support
import Testing

/// Checks that recomputing activations changes no bit of the training results.
@Suite struct RecomputationTests {
  /// Returns everything that two steps on the same images change.
  private func train(_ configuration: ModelConfiguration, recompute: Bool) throws -> [HostTensor] {
    let backend = CPUBackend()
    let model = try ResNet(configuration)
    try model.store.allocate(on: backend, seed: 5)
    let optimizer = try Optimizer(model.store)
    var random = Philox(seed: 1, stream: 2)
    let shape: Shape = [3, 9, 7, 2]
    let images = try backend.upload(HostTensor((0..<shape.count).map { _ in random.uniform() - 0.5 }, shape: shape))
    let labels = try backend.upload(HostTensor([0, 2, 1] as [Int32], shape: [3]))
    let metrics = try backend.upload(HostTensor([0, 0, 0] as [Float], shape: [3]))
    for _ in 0..<2 {
      try model.trainingStep(
        images: images, labels: labels, recompute: recompute, metrics: metrics, optimizer, learningRate: 0.1)
    }
    #expect(backend.memory.bytesInUse < 4 * (model.store.weightsArena.byteCount + model.store.stateArena.byteCount) + 10_000)
    let left = [model.store.weightsArena, model.store.gradientsArena, model.store.stateArena, optimizer.state[0].arena, metrics]
    return try left.map(backend.download)
  }

  /// The network resnet44 has enough blocks for recomputed parts of more than one block.
  @Test(arguments: [
    ("resnet8", ShortcutOption?.none), ("resnet14", .projection), ("plain14", nil), ("resnet44", nil), ("resnet18", nil),
    ("resnet18", .padding), ("plain18", nil), ("resnet50", nil),
  ])
  func weightsAndEstimatesAreTheSameBits(name: String, shortcut: ShortcutOption?) throws {
    let configuration = ModelConfiguration(name: name, classes: 3, channels: 2, shortcut: shortcut)
    let (kept, recomputed) = (try train(configuration, recompute: false), try train(configuration, recompute: true))
    #expect(kept.allSatisfy(\.isFinite) && kept[4].floats[0] > 0)
    #expect(kept == recomputed)
  }

  @Test func networksWithoutNormalizationToo() throws {
    let configuration = ModelConfiguration(
      name: "resnet14", classes: 3, channels: 2, shortcut: .projectionEverywhere, normalization: .none)
    let (kept, recomputed) = (try train(configuration, recompute: false), try train(configuration, recompute: true))
    #expect(kept.allSatisfy(\.isFinite) && kept[4].floats[0] > 0)
    #expect(kept == recomputed)
  }
}
