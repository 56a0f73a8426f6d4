import CPUBackend
import Compute
import Datasets
import Formats
import Foundation
import Models
import NN
import OpenCLBackend
import Support
import TestSupport
import Testing
import Training

/// Compares whole training runs with PyTorch in float64, from the same weights on the same images. `Fixtures/README.md`
/// describes the files and the derivation of the bounds.
@Suite(.serialized) struct ParityTests {
  @Test(arguments: ParityFixture.names) func openCLTrainsAsPyTorch(_ name: String) throws {
    try check(try ParityFixture(name), on: try OpenCLBackend(device: try DeviceList.find("opencl").device))
  }

  @Test(arguments: ParityFixture.names.filter { $0.hasSuffix("-small") || $0.hasSuffix("-update") })
  func referenceTrainsAsPyTorch(_ name: String) throws {
    try check(try ParityFixture(name), on: CPUBackend())
  }

  @Test(arguments: ParityFixture.names) func initialWeightsAreThoseOfTheFixture(_ name: String) throws {
    let fixture = try ParityFixture(name)
    let model = try ResNet(fixture.configuration.model)
    try model.store.allocate(on: CPUBackend(), seed: fixture.configuration.seed)
    let state = try model.store.stateDictionary()
    #expect(state.map(\.name) == fixture.tensors.map(\.name))
    for ((name, tensor), expected) in zip(state, fixture.tensors) {
      #expect(ParityFixture.sample(tensor.doubles) == expected.initialSample, "\(name)")
    }
  }

  private func check(_ fixture: ParityFixture, on backend: any Backend) throws {
    let (losses, initial, final) = try fixture.train(on: backend)
    #expect(losses.count == fixture.losses.count)
    for (step, (loss, expected)) in zip(losses, fixture.losses).enumerated() {
      let distance = abs(loss - expected.value) / expected.value
      #expect(distance <= expected.bound, "loss of step \(step + 1): \(loss), PyTorch \(expected.value)")
    }
    #expect(final.map(\.name) == fixture.tensors.map(\.name))
    for (index, expected) in fixture.tensors.enumerated() {
      var values = final[index].tensor.doubles
      if fixture.comparesUpdate { values = zip(values, initial[index].tensor.doubles).map { $0 - $1 } }
      let difference = zip(ParityFixture.sample(values), expected.sample).map { $0 - $1 }
      let distance = norm(difference) / norm(expected.sample)
      #expect(distance <= expected.sampleBound, "\(expected.name): sample off by \(distance)")
      // The norms ‖a‖ and ‖b‖ differ by no more than ‖a − b‖.
      let excess = abs(norm(values) - expected.norm) / expected.norm
      #expect(excess <= expected.bound, "\(expected.name): norm off by \(excess)")
    }
  }
}

/// Returns √Σx².
private func norm(_ values: [Double]) -> Double { values.reduce(0) { $0 + $1 * $1 }.squareRoot() }

/// One file of `Fixtures`: a run and PyTorch's results.
struct ParityFixture {
  struct Loss {
    let value, bound: Double
  }
  /// Reference values of one tensor. Distances are relative.
  struct Reference {
    let name: String
    let initialSample, sample: [Double]
    let norm, bound, sampleBound: Double
  }

  static let names = [
    "preresnet164-update", "preresnet20-small", "resnet18", "resnet18-small", "resnet18-update",
    "resnet20-a",
    "resnet20-a-nesterov", "resnet20-a-small", "resnet20-a-weighted-small", "resnet20-b",
    "resnet20-b-nesterov", "resnet20-b-nesterov-small", "resnet20-b-skipping-small", "resnet50-update", "resnet56",
    "resnext50-update",
  ]
  private static let folder = "Fixtures"

  let configuration: RunConfiguration
  /// Whether final − initial is compared instead of the final values.
  let comparesUpdate: Bool
  let imageCount, imageSize: Int
  let losses: [Loss]
  let tensors: [Reference]

  init(_ name: String) throws {
    let url = try #require(Bundle.module.url(forResource: name, withExtension: "safetensors", subdirectory: Self.folder))
    let file = try Safetensors.read(url.path)
    let fields = Fields(metadata: file.metadata)
    comparesUpdate = try fields.text("compares") == "update"
    imageCount = try fields.integer("images")
    imageSize = try fields.integer("size")
    configuration = try Self.configuration(fields)

    func array(_ key: String) throws -> [Double] { try #require(file.tensors[key]).doubles }
    losses = zip(try array("losses"), try array("torch32_loss_distances")).map { value, distance in
      Loss(value: value, bound: max(5 * distance, 1e-5))
    }
    let floor = comparesUpdate ? 1e-3 : 1e-4
    let names = try fields.text("names").split(separator: "\n").map(String.init)
    let (norms, distances) = (try array("norms"), try array("torch32_distances"))
    let sampleDistances = try array("torch32_sample_distances")
    let (samples, initialSamples) = (try array("samples"), try array("initial_samples"))
    let counts = try array("counts").map { min(Int($0), 64) }
    var (start, tensors) = (0, [Reference]())
    for (index, name) in names.enumerated() {
      let range = start..<start + counts[index]
      start = range.upperBound
      tensors.append(
        Reference(
          name: name, initialSample: Array(initialSamples[range]), sample: Array(samples[range]), norm: norms[index],
          bound: max(5 * distances[index], floor), sampleBound: max(5 * sampleDistances[index], floor)))
    }
    self.tensors = tensors
  }

  private static func configuration(_ fields: Fields) throws -> RunConfiguration {
    let model = ModelConfiguration(
      name: try fields.text("model"), classes: try fields.integer("classes"),
      shortcut: ShortcutOption(rawValue: try fields.text("shortcut")))
    var configuration = RunConfiguration(model: model, dataset: "tensors")
    configuration.maxSteps = try fields.integer("steps")
    configuration.epochs = try fields.integer("steps")
    configuration.batchSize = try fields.integer("batch")
    configuration.optimizer.learningRate = try fields.number("learning_rate")
    configuration.optimizer.momentum = try fields.number("momentum")
    configuration.optimizer.nesterov = try fields.text("nesterov") == "true"
    configuration.optimizer.weightDecay = try fields.number("weight_decay")
    configuration.labelSmoothing = try fields.number("label_smoothing")
    if let weights = fields.metadata["class_weights"] {
      configuration.classWeights = .values(try weights.split(separator: " ").map { try #require(Double($0)) })
    }
    configuration.stochasticDepth = fields.metadata["stochastic_depth"].flatMap(Double.init)
    configuration.seed = UInt64(try fields.integer("seed"))
    configuration.schedule = .constant
    configuration.warmupEpochs = 0
    configuration.shuffle = false
    return configuration
  }

  private struct Fields {
    let metadata: [String: String]

    func text(_ key: String) throws -> String { try #require(metadata[key], "the fixture does not say \(key)") }
    func integer(_ key: String) throws -> Int { try #require(Int(try text(key))) }
    func number(_ key: String) throws -> Double { try #require(Double(try text(key))) }
  }

  /// Returns up to 64 elements, element i at the flat index ⌊i·count/64⌋ in torchvision's layout, or all of a smaller tensor.
  static func sample(_ values: [Double]) -> [Double] {
    let picked = min(64, values.count)
    return (0..<picked).map { values[$0 * values.count / picked] }
  }

  // MARK: Running

  /// Trains as the fixture says. Returns the losses before each step, and the state dictionaries before and after.
  func train(
    on backend: any Backend
  ) throws -> (losses: [Double], initial: [(name: String, tensor: HostTensor)], final: [(name: String, tensor: HostTensor)]) {
    return try withTemporaryFolder { folder in
      let train = images()
      let trainer = try Trainer(
        configuration, DatasetSplits(train: train, validation: train.prefix(1)), on: backend,
        folder: try RunFolder(creating: "\(folder)/run"), logEvery: 1)
      let initial = try trainer.model.store.stateDictionary()
      var losses: [Double] = []
      let ending = try trainer.run(report: { event in
        if case .step(let record) = event { losses.append(record.loss) }
      })
      #expect(ending == .finished)
      return (losses, initial, try trainer.model.store.stateDictionary())
    }
  }

  private func images() -> Dataset {
    let (elements, classes) = (imageSize * imageSize * 3, configuration.model.classes)
    let values = (0..<imageCount).flatMap { normals(elements, index: UInt64($0)) }
    let labels = (0..<imageCount).map { Int32(((classes - 1 - 7 * $0) % classes + classes) % classes) }
    return Dataset(
      name: "tensors", images: HostTensor(values, shape: [imageCount, imageSize, imageSize, 3]),
      labels: HostTensor(labels, shape: [imageCount]), classes: (0..<classes).map(String.init),
      normalization: .none(channels: 3))
  }

  /// Returns standard normal numbers by the method of Box and Muller. `count` must be even.
  private func normals(_ count: Int, index: UInt64) -> [Float] {
    var random = Philox(seed: configuration.seed, stream: 0x7061_7269, index: index)
    return (0..<count / 2).flatMap { _ in
      let bits = random.next()
      let radius = (-2 * log((Double(bits >> 32) + 0.5) * 0x1p-32)).squareRoot()
      let angle = 2 * Double.pi * Double(bits & 0xFFFF_FFFF) * 0x1p-32
      return [Float(radius * cos(angle)), Float(radius * sin(angle))]
    }
  }
}
