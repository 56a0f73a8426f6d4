import CPUBackend
import Checkpoints
import Compute
import Datasets
import Formats
import Foundation
import Images
import Models
import OpenCLBackend
import Testing
import Training

/// Compares Grad-CAM with a written-out computation in PyTorch in float64, `Scripts/make-explanation-fixtures.py`: basic and
/// bottleneck blocks, both stems, and pre-activation, where the gradient differs from pixel to pixel.
@Suite(.serialized) struct GradCAMTests {
  private static let names = ["resnet8", "preresnet8", "resnet50"]

  private static func tensors(_ name: String) throws -> [String: HostTensor] {
    let path = try #require(Bundle.module.path(forResource: "Fixtures/explanations/\(name)", ofType: "safetensors"))
    return try Safetensors.read(path).tensors
  }

  /// Returns the weights and running statistics of a network: overlapping views of two lists, as the script describes them.
  private static func weights(of network: ResNet, deviation: Float) throws -> [String: HostTensor] {
    let lists = try tensors("weights")
    let signed = try #require(lists["signed"]).floats.map { $0 * deviation }
    let positive = try #require(lists["positive"]).floats
    return Dictionary(
      uniqueKeysWithValues: network.store.entries.enumerated().map { index, entry in
        let shape = entry.torchShape
        let list = shape.rank == 1 && ["running_var", "weight"].contains { entry.name.hasSuffix($0) } ? positive : signed
        let strides = shape.rank == 4 ? [11, 3, 101 * shape[3], 101] : shape.rank == 2 ? [3001, 1] : [1]
        let places = zip(shape.dimensions, strides).reduce([index]) { places, axis in
          places.flatMap { place in (0..<axis.0).map { place + $0 * axis.1 } }
        }
        return (entry.name, HostTensor(places.map { list[$0] }, shape: shape))
      })
  }

  @Test(arguments: names) func referenceAgreesWithPyTorch(_ name: String) throws { try check(name, on: CPUBackend()) }

  @Test(arguments: names) func openCLAgreesWithPyTorch(_ name: String) throws {
    try check(name, on: try OpenCLBackend(device: try DeviceList.find("opencl").device))
  }

  private func check(_ name: String, on backend: any Backend) throws {
    let expected = try Self.tensors(name)
    let images = try #require(expected["images"])
    let labels = try #require(expected["labels"]).doubles.map { Int($0) }
    let network = try ResNet(ModelConfiguration(name: name, classes: 5, shortcut: .projection))
    try network.store.allocate(on: backend, gradients: false)
    try network.store.load(try Self.weights(of: network, deviation: try #require(expected["deviation"]).floats[0]))
    let before = try network.store.stateDictionary().map(\.tensor)
    let (logits, maps) = try GradCAM(network)(try backend.uploadBatch(images)) { _ in labels }
    try expectNear(logits, try #require(expected["logits"]))
    try expectNear(maps, try #require(expected["maps"]))
    #expect(try network.store.stateDictionary().map(\.tensor) == before)
    // The map of an image at the size of the image.
    let whole = try #require(expected["whole"])
    let resized = (0..<images.shape[0]).flatMap { index in
      let size = maps.shape[1] * maps.shape[2]
      let map = HeatMap(
        height: maps.shape[1], width: maps.shape[2], values: Array(maps.floats[index * size..<(index + 1) * size]))
      return map.resized(height: images.shape[1], width: images.shape[2]).values
    }
    try expectNear(HostTensor(resized, shape: whole.shape), whole)
  }

  /// Checks that the largest difference is a ten thousandth of the largest value at most.
  private func expectNear(_ found: HostTensor, _ expected: HostTensor) throws {
    #expect(found.shape == expected.shape)
    let largest = try #require(expected.doubles.map(abs).max())
    let distance = try #require(zip(found.doubles, expected.doubles).map { abs($0 - $1) }.max())
    #expect(largest > 0 && distance <= 1e-4 * largest, "\(distance) of \(largest)")
  }
}

/// Explains pictures whose classes are known to lie in one place.
@Suite struct ExplanationTests {
  /// Returns a network whose classes are the red and the green of an image. Its blocks only pass the stem's result on, and the
  /// last layer takes one channel for each class: the first channels of the stem stand behind 8 + 16 channels of padding.
  private func redOrGreen() throws -> ResNetClassifier {
    let network = try ResNet(ModelConfiguration(name: "resnet8", classes: 2))
    try network.store.allocate(on: CPUBackend(), seed: 1)
    for entry in network.store.entries where entry.kind == .filter || entry.kind == .linearWeight || entry.name == "fc.bias" {
      var values = [Float](repeating: 0, count: entry.shape.count)
      for color in 0..<2 {
        // [3,3,3,16], whose middle row and column pass the color on; [64,2].
        if entry.name == "conv1.weight" { values[((1 * 3 + 1) * 3 + color) * 16 + color] = 1 }
        if entry.name == "fc.weight" { values[(24 + color) * 2 + color] = 30 }
      }
      try network.store.assign(entry.name, HostTensor(values, shape: entry.shape))
    }
    return ResNetClassifier(network, classes: ["red", "green"])
  }

  /// Returns black images of 16×16, each with a square of 5×5 in a quadrant: red in the first four, green in the others.
  private func squares() -> Dataset {
    var pixels = [UInt8](repeating: 0, count: 8 * 16 * 16 * 3)
    for image in 0..<8 {
      let (top, left) = (2 + 8 * (image % 4 / 2), 1 + 8 * (image % 2))
      for row in top..<top + 5 {
        for column in left..<left + 5 { pixels[((image * 16 + row) * 16 + column) * 3 + image / 4] = 255 }
      }
    }
    return Dataset(
      name: "squares", images: HostTensor(pixels, shape: [8, 16, 16, 3]),
      labels: HostTensor((0..<8).map { Int32($0 / 4) }, shape: [8]), classes: ["red", "green"],
      normalization: Normalization(mean: [0, 0, 0], deviation: [1, 1, 1]))
  }

  private func explain(label: Int?) throws -> [(prediction: Prediction, explanation: Explanation)] {
    let classifier = try redOrGreen()
    var found: [(Prediction, Explanation)] = []
    let loader = try BatchLoader(squares(), on: classifier.backend)
    let isDone = try classifier.explain(loader, batchSize: 3, top: 2, label: label) { found.append(($0, try #require($1))) }
    #expect(isDone && found.map(\.0.sample) == Array(0..<8))
    return found
  }

  @Test func heatFallsOnTheSquare() throws {
    for (index, (prediction, explanation)) in try explain(label: nil).enumerated() {
      let classes = try prediction.classes.get()
      #expect(classes.count == 2 && classes[0].label == index / 4 && classes[0].label == explanation.label)
      #expect(classes[0].probability == explanation.probability && explanation.probability > 0.5)
      let heat = explanation.heat
      #expect(heat.height == 4 && heat.width == 4 && heat.values.allSatisfy { $0 >= 0 })
      let inside = (0..<2).flatMap { row in (0..<2).map { heat[row + 2 * (index % 4 / 2), $0 + 2 * (index % 2)] } }
      #expect(inside.reduce(0, +) > 0 && inside.reduce(0, +) == heat.values.reduce(0, +), "\(index): \(heat.values)")
      // The picture shows the image, enlarged 14 times, and the brightest place lies on the square.
      let (picture, blended) = (explanation.picture, explanation.blended)
      #expect(picture.height == 224 && picture.width == 224 && blended.height == 224)
      let brightest = blended.pixels.indices.filter { $0 % 3 == 1 }.max { blended.pixels[$0] < blended.pixels[$1] } ?? 0
      let (row, column) = (brightest / 3 / 224, brightest / 3 % 224)
      #expect(row / 112 == index % 4 / 2 && column / 112 == index % 2, "\(index): \(row), \(column)")
    }
  }

  /// Nothing in a red image speaks for green, so its map is empty and its picture is dark.
  @Test func anotherClassHasAnotherMap() throws {
    for (index, (prediction, explanation)) in try explain(label: 1).enumerated() {
      #expect(explanation.label == 1 && (explanation.probability > 0.5) == (index >= 4))
      #expect(explanation.heat.values.contains { $0 > 0 } == (index >= 4), "\(index)")
      #expect(try prediction.classes.get()[0].label == index / 4)
    }
  }

  @Test func workMayBeStopped() throws {
    let classifier = try redOrGreen()
    var count = 0
    let loader = try BatchLoader(squares(), on: classifier.backend)
    let isDone = try classifier.explain(loader, batchSize: 3, top: 1, progress: { $0 < 6 }, { _, _ in count += 1 })
    #expect(!isDone && count == 6)
  }
}
