import CPUBackend
import Compute
import Models
import NN
import Support
import Testing

@Suite struct FreezingTests {
  private let configuration = ModelConfiguration(name: "resnet14", classes: 3, channels: 2, shortcut: .projection)

  private func train(
    _ configuration: ModelConfiguration, frozen: [String], recompute: Bool = false, steps: Int = 2,
    on backend: CPUBackend = CPUBackend()
  ) throws -> ResNet {
    let model = try ResNet(configuration)
    try model.store.freeze(frozen)
    try model.store.allocate(on: backend, seed: 5)
    let optimizer = try Optimizer(model.store)
    let (images, labels) = try batch(on: backend)
    for _ in 0..<steps {
      try model.trainingStep(
        images: images, labels: labels, recompute: recompute, metrics: try backend.tensor([3]), optimizer, learningRate: 0.1)
    }
    return model
  }

  private func batch(on backend: CPUBackend) throws -> (images: Tensor, labels: Tensor) {
    var random = Philox(seed: 1, stream: 2)
    let shape: Shape = [4, 9, 7, 2]
    let images = HostTensor((0..<shape.count).map { _ in random.uniform() - 0.5 }, shape: shape)
    return (try backend.upload(images), try backend.upload(HostTensor([0, 2, 1, 1] as [Int32], shape: [4])))
  }

  private func tensors(_ model: ResNet) throws -> [String: HostTensor] {
    Dictionary(uniqueKeysWithValues: try model.store.stateDictionary().map { ($0.name, $0.tensor) })
  }

  /// Freezes layers at the beginning, in the middle, and all but the last layer; in pre-activation networks too.
  @Test(arguments: [
    ("resnet14", ["conv1", "bn1", "layer1"]), ("resnet14", ["layer2"]), ("resnet14", ["layer3.1.bn1"]),
    ("resnet14", ["conv1", "bn1", "layer1", "layer2", "layer3"]), ("preresnet14", ["conv1", "layer1"]),
    ("preresnet14", ["layer2"]), ("resnet14", ["fc"]),
  ])
  func frozenLayersStayAndOthersMove(name: String, frozen: [String]) throws {
    let configuration = ModelConfiguration(name: name, classes: 3, channels: 2)
    let before = try tensors(try train(configuration, frozen: frozen, steps: 0))
    let kept = try tensors(try train(configuration, frozen: frozen))
    for (tensor, value) in before {
      let stays = frozen.contains { tensor.hasPrefix("\($0).") }
      #expect((kept[tensor] == value) == stays, "\(tensor)")
    }
    // Activations that are recomputed in the backward pass are the same, and so are the gradients.
    #expect(try tensors(try train(configuration, frozen: frozen, recompute: true)) == kept)
  }

  /// Checks that the loss falls along the gradients that come through frozen layers as these gradients predict, in double
  /// precision.
  @Test(arguments: ["layer2", "layer2.0.bn1", "layer3.0.conv2"]) func gradientsComeThroughFrozenLayers(frozen: String) throws {
    let backend = CPUBackend(precision: .float64)
    let model = try train(configuration, frozen: [frozen], steps: 0, on: backend)
    // The running statistics differ from those of the batch.
    for entry in model.store.entries where entry.kind == .estimate { backend.fill(entry.value, with: 0.7) }
    let (images, labels) = try batch(on: backend)
    let optimizer = try Optimizer(model.store)
    func loss() throws -> Double {
      let metrics = try backend.tensor([3])
      backend.fill(metrics, with: 0)
      try model.accumulateGradients(images: images, labels: labels, metrics: metrics, optimizer)
      try optimizer.step(learningRate: 0)
      return try backend.download(metrics).doubles[0] / 4
    }
    _ = try loss()
    let filter = try #require(model.store["conv1.weight"])
    let (w, g) = (try backend.download(filter.value).doubles, try backend.download(filter.gradient).doubles)
    let slope = g.reduce(0) { $0 + $1 * $1 }
    func moved(by step: Double) throws -> Double {
      try model.store.assign("conv1.weight", HostTensor(zip(w, g).map { $0 + step * $1 }, shape: filter.shape))
      return try loss()
    }
    let step = 1e-7
    let difference = (try moved(by: step) - moved(by: -step)) / (2 * step)
    #expect(slope > 1e-6)
    #expect(abs(difference - slope) < 1e-4 * slope, "\(difference), \(slope)")
  }

  /// Checks that frozen layers at the beginning keep no activations for gradients.
  @Test func frozenLayersNeedLessMemory() throws {
    let images: Shape = [8, 32, 32, 2]
    let all = try Summary(configuration, images: images)
    let last = try Summary(configuration, images: images, TrainingOptions(frozen: ["conv1", "bn1", "layer1", "layer2"]))
    #expect(last.training.peakBytesInUse < all.training.peakBytesInUse / 2)
    #expect(last.trainingMACs < all.trainingMACs * 2 / 3)
  }

  @Test func theAverageFollowsTheWeights() throws {
    let backend = CPUBackend()
    let model = try train(configuration, frozen: [], steps: 0, on: backend)
    let average = try WeightAverage(of: model, decay: 0.5)
    let name = "fc.bias"
    let first = try #require(try tensors(model)[name]).floats
    try model.store.assign(name, HostTensor(first.map { $0 + 1 }, shape: [3]))
    try average.update(from: model, step: 1)
    // The average has moved 1 − 2/11 of the way.
    let second = try #require(try tensors(average.model)[name]).floats
    #expect(zip(first, second).allSatisfy { abs($1 - $0 - 9.0 / 11) < 1e-6 })
    try average.update(from: model, step: 1000)
    let third = try #require(try tensors(average.model)[name]).floats
    #expect(zip(first, third).allSatisfy { abs($1 - $0 - 10.0 / 11) < 1e-6 })
  }

  @Test func anotherNumberOfClassesGetsANewLastLayer() throws {
    let weights = try tensors(try train(configuration, frozen: []))
    var other = configuration
    other.classes = 5
    let model = try train(other, frozen: [], steps: 0)
    let drawn = try tensors(model)
    #expect(try model.load(pretrained: weights) == false)
    let loaded = try tensors(model)
    for (name, value) in loaded { #expect(value == (name.hasPrefix("fc.") ? drawn[name] : weights[name]), "\(name)") }
    #expect(try model.load(pretrained: weights.filter { !$0.key.hasPrefix("fc.") }) == false)
    #expect(try train(configuration, frozen: [], steps: 0).load(pretrained: weights))
    // The last layer is also new if the pretrained one is not wanted, or if it is of another kind.
    let same = try train(configuration, frozen: [], steps: 0)
    let own = try tensors(same)
    #expect(try same.load(pretrained: weights, takingHead: false) == false)
    let kept = try tensors(same)
    #expect(kept["fc.weight"] == own["fc.weight"] && kept["conv1.weight"] == weights["conv1.weight"])
    var sequential = weights.filter { !$0.key.hasPrefix("fc.") }
    for name in ["fc.1.weight", "fc.1.bias"] { sequential[name] = HostTensor([0] as [Float], shape: [1, 1]) }
    #expect(try same.load(pretrained: sequential) == false)
    // A last layer of another width belongs to another network.
    let foreign = weights.merging(["fc.weight": HostTensor([0, 0] as [Float], shape: [1, 2])]) { $1 }
    #expect(throws: Failure.self) { try model.load(pretrained: foreign) }
  }
}
