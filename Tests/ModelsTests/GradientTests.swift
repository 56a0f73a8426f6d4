import CPUBackend
import Compute
import Models
import NN
import Support
import Testing

/// Checks the gradients of whole networks in double precision against central differences of the loss.
@Suite struct GradientTests {
  private let backend = CPUBackend(precision: .float64)
  private let images: HostTensor
  private let labels = HostTensor([1, 0, 2] as [Int32], shape: [3])

  init() {
    var random = Philox(seed: 11, stream: 1)
    images = HostTensor((0..<3 * 9 * 7 * 2).map { _ in 4 * Double(random.uniform()) - 2 }, shape: [3, 9, 7, 2])
  }

  private static let configurations = [
    ModelConfiguration(name: "resnet8", classes: 4, channels: 2),
    ModelConfiguration(name: "resnet8", classes: 4, channels: 2, shortcut: .projection),
    ModelConfiguration(name: "resnet8", classes: 4, channels: 2, shortcut: .projectionEverywhere),
    ModelConfiguration(name: "resnet8", classes: 4, channels: 2, shortcut: .projection, normalization: .none),
    ModelConfiguration(name: "plain8", classes: 4, channels: 2, normalization: .none),
    ModelConfiguration(name: "plain8", classes: 4, channels: 2), ModelConfiguration(name: "preresnet8", classes: 4, channels: 2),
    ModelConfiguration(name: "preresnet8", classes: 4, channels: 2, shortcut: .padding),
  ]

  /// Returns Σ loss / N and, with `differentiate`, the gradient of the images. `differentiate` also fills the parameters'
  /// gradients.
  private func loss(_ model: ResNet, _ images: HostTensor, differentiate: Bool = false) throws -> (Double, [Double]) {
    let pass = Pass(on: backend, mode: .training)
    let input = Variable(try backend.upload(images), slot: GradientSlot())
    let metrics = try backend.tensor([3])
    backend.fill(metrics, with: 0)
    let logits = try model(input, pass)
    try pass.crossEntropy(logits, labels: backend.upload(labels), smoothing: 0.1, metrics: metrics)
    if differentiate { try pass.backward() }
    let gradient = try input.slot?.gradient.map { try backend.download($0).doubles } ?? []
    return (try backend.download(metrics).doubles[0] / 3, gradient)
  }

  /// Checks ⟨gradient, v⟩ = (L(w + h·v) − L(w − h·v)) / 2h for a random v, for each parameter alone and for the images.
  @Test(arguments: configurations) func gradientsAreDerivatives(configuration: ModelConfiguration) throws {
    let model = try ResNet(configuration)
    try model.store.allocate(on: backend, seed: 2)
    var random = Philox(seed: 5, stream: 2)
    let step = 1e-6

    func check(_ name: String, _ gradient: [Double], at values: HostTensor, _ loss: (HostTensor) throws -> Double) rethrows {
      let direction = gradient.map { _ in 2 * Double(random.uniform()) - 1 }
      let expected = zip(gradient, direction).reduce(0) { $0 + $1.0 * $1.1 }
      func moved(_ h: Double) -> HostTensor {
        HostTensor(zip(values.doubles, direction).map { $0 + h * $1 }, shape: values.shape)
      }
      let found = try (loss(moved(step)) - loss(moved(-step))) / (2 * step)
      #expect(abs(found - expected) < 1e-6 * max(1, abs(expected)), "\(name): difference \(found), gradient \(expected)")
      #expect(gradient.contains { abs($0) > 1e-6 }, "\(name)")
    }

    let (_, imageGradient) = try loss(model, images, differentiate: true)
    try check("images", imageGradient, at: images) { try loss(model, $0).0 }
    for parameter in model.store.parameters {
      let values = try backend.download(parameter.value)
      try check(parameter.name, backend.download(parameter.gradient).doubles, at: values) {
        try model.store.assign(parameter.name, $0)
        return try loss(model, images).0
      }
      try model.store.assign(parameter.name, values)
    }
  }

  @Test func inferenceAgreesWithTrainingWhereTheEstimatesAreTheBatchs() throws {
    let model = try ResNet(Self.configurations[1])
    try model.store.allocate(on: backend, seed: 2)
    let input = Variable(try backend.upload(images))
    // Running statistics converge to the batch's mean and unbiased variance of M values. The biased variance is (M − 1)/M
    // times that.
    for _ in 0..<250 { _ = try model(input, Pass(on: backend, mode: .training)) }
    for entry in model.store.entries where entry.name.hasSuffix("running_var") {
      let m = entry.name.hasPrefix("layer2") ? 3 * 5 * 4 : entry.name.hasPrefix("layer3") ? 3 * 3 * 2 : 3 * 9 * 7
      let values = try backend.download(entry.value).doubles.map { $0 * Double(m - 1) / Double(m) }
      try model.store.assign(entry.name, HostTensor(values, shape: entry.shape))
    }
    let inferred = try backend.download(model(input, Pass(on: backend, mode: .inference)).value).doubles
    let trained = try backend.download(model(input, Pass(on: backend, mode: .training)).value).doubles
    #expect(zip(trained, inferred).allSatisfy { abs($0 - $1) < 1e-9 })
    #expect(try backend.download(input.value) == images)
  }
}
