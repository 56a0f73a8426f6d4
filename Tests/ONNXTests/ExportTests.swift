import CPUBackend
import Checkpoints
import Compute
import Datasets
import DryRun
import Formats
import Foundation
import Models
import NN
import ONNX
import ONNXProto
import OpenCLBackend
import Support
import SwiftProtobuf
import TestSupport
import Testing
import Training

/// Checks that our networks can be exported and read back. `Benchmarks/onnx_check.py` checks that other programs read them
/// correctly.
@Suite struct ExportTests {
  struct Network: CustomTestStringConvertible, Sendable {
    let name: String
    var shortcut: ShortcutOption?
    var normalization = BlockNormalization.batch
    var testDescription: String { "\(name)\(shortcut.map { " with shortcuts \($0.rawValue)" } ?? ""), \(normalization)" }
  }

  /// Makes a network with random weights and statistics.
  private func network(_ subject: Network, on backend: any Backend) throws -> (ResNet, Weights.Description) {
    let configuration = ModelConfiguration(
      name: subject.name, classes: 5, channels: 2, shortcut: subject.shortcut, normalization: subject.normalization)
    let network = try ResNet(configuration)
    try network.store.allocate(on: backend, seed: 3)
    var random = Philox(seed: 5, stream: 0)
    for entry in network.store.entries where entry.shape.rank == 1 {
      let isPositive = entry.name.hasSuffix("weight") || entry.name.hasSuffix("running_var")
      let values = (0..<entry.shape.count).map { _ in isPositive ? 0.5 + random.uniform() : random.uniform() - 0.5 }
      try network.store.assign(entry.name, HostTensor(values, shape: entry.shape))
    }
    var description = try Weights.Description(imported: configuration)
    description.classes = ["ant", "bee", "cow", "dog", "eel"]
    description.normalization = Normalization(mean: [0.25, 0.5], deviation: [0.5, 0.75])
    return (network, description)
  }

  private func images(_ count: Int) -> HostTensor {
    var random = Philox(seed: 7, stream: 0)
    return HostTensor((0..<count * 9 * 11 * 2).map { _ in random.uniform() - 0.5 }, shape: [count, 9, 11, 2])
  }

  @Test(arguments: [
    Network(name: "resnet8"), Network(name: "resnet8", shortcut: .projection), Network(name: "plain8"),
    Network(name: "preresnet8"), Network(name: "preresnet8", shortcut: .padding),
    Network(name: "resnet8", shortcut: .projectionEverywhere), Network(name: "resnet8", normalization: .none),
  ])
  func whatGoesOutComesBack(_ subject: Network) throws {
    let backend = try OpenCLBackend(device: DeviceList.find("opencl").device)
    let (network, description) = try network(subject, on: backend)
    let weights = Dictionary(uniqueKeysWithValues: try network.store.stateDictionary().map { ($0.name, $0.tensor) })
    let x = try backend.upload(images(3))
    let expected = try backend.download(try network(Variable(x), Pass(on: backend, mode: .inference)).value).doubles
    let scale = expected.map(abs).max() ?? 0
    #expect(scale > 0.01)
    try withTemporaryFolder { folder in
      for (folding, bound) in [(false, 1e-6), (true, 1e-5)] {
        let path = "\(folder)/model.onnx"
        try ONNXExport.write(weights, network, description, folding: folding, to: path)
        let classifier = try ONNXClassifier(try ONNXModel(contentsOf: path), on: backend)
        #expect(classifier.classes == description.classes && classifier.normalization == description.normalization)
        #expect(classifier.channels == 2 && classifier.imageSize == nil && !classifier.givesProbabilities)
        let found = try backend.download(try classifier(x))
        #expect(found.shape == [3, 5])
        let error = zip(found.doubles, expected).map { abs($0 - $1) }.max() ?? .infinity
        #expect(error <= bound * scale, "folding \(folding): \(error) of \(scale)")
        // The batch size may differ, as at the end of a data set; so may the image size.
        #expect(try classifier(try backend.upload(images(1))).shape == [1, 5])
        let written = try Onnx_ModelProto(serializedBytes: try Data(contentsOf: URL(fileURLWithPath: path)))
        let normalizations = written.graph.node.count { $0.opType == "BatchNormalization" }
        let hasNone = normalizations <= (subject.name.hasPrefix("pre") ? 4 : 0)
        #expect((folding || subject.normalization == .none) == hasNone, "\(normalizations)")
      }
    }
  }

  /// Exports every kind of network as a graph, with shapes alone.
  @Test(arguments: [
    ("resnext50_32x4d", StridePlacement.threeByThree), ("resnet50", .firstOneByOne), ("preresnet164", .threeByThree),
  ])
  func largerNetworksGoOut(name: String, stride: StridePlacement) throws {
    let configuration = ModelConfiguration(name: name, classes: 7, stridePlacement: stride)
    let network = try ResNet(configuration)
    let zeros = network.store.entries.map { entry in
      let isVariance = entry.name.hasSuffix("running_var")
      return (entry.name, HostTensor([Float](repeating: isVariance ? 1 : 0, count: entry.shape.count), shape: entry.torchShape))
    }
    try withTemporaryFolder { folder in
      let path = "\(folder)/model.onnx"
      try ONNXExport.write(
        Dictionary(uniqueKeysWithValues: zeros), network, try Weights.Description(imported: configuration), folding: false,
        to: path)
      let model = try ONNXModel(contentsOf: path)
      let dry = DryRunBackend()
      let logits = try ONNXClassifier(model, on: dry)(try dry.tensor([2, 64, 64, 3]))
      #expect(logits.shape == [2, 7])
      // The graph has the same convolutions as the network.
      let summary = try Summary(configuration, images: [2, 64, 64, 3])
      let head = 2 * 7 * (network.store["fc.weight"]?.shape[0] ?? 0)
      #expect(try model.convolutions(images: [2, 64, 64, 3]).reduce(0) { $0 + $1.geometry.macs } == summary.macs - head)
    }
  }

  /// Checks that a graph for two images at a time accepts five.
  @Test func aFixedBatchIsFilledUp() throws {
    let model = try TestModel().input("x", [2, 3, 4, 4]).node("GlobalAveragePool", ["x"], "a").node("Flatten", ["a"], "b")
      .node("Softmax", ["b"], "y").output("y").model()
    let backend = CPUBackend()
    let classifier = try ONNXClassifier(model, on: backend)
    #expect(classifier.givesProbabilities && classifier.classes == ["0", "1", "2"])
    #expect(classifier.imageSize.map { $0 == (4, 4) } == true)
    // Channel c of image n is n·c everywhere.
    let values = (0..<240).map { (i: Int) -> Float in Float((i / 48) * (i % 3)) }
    let y = try backend.download(try classifier(try backend.upload(HostTensor(values, shape: [5, 4, 4, 3]))))
    #expect(y.shape == [5, 3])
    for n in 0..<5 {
      let powers: [Double] = (0..<3).map { exp(Double(n * $0)) }
      let sum = powers[0] + powers[1] + powers[2]
      for k in 0..<3 { #expect(abs(y.doubles[3 * n + k] - powers[k] / sum) < 1e-6) }
    }
  }

  /// Checks that a graph for any batch size is planned for the largest batch so far, and gives each image the same result
  /// as alone.
  @Test func smallerBatchesAreFilledUp() throws {
    let filter = (0..<54).map { Float($0 % 7) - 3 }
    let model = try TestModel().input("x", [-1, 3, 4, -1]).floats("w", filter, [2, 3, 3, 3])
      .node("Conv", ["x", "w"], "a").node("GlobalAveragePool", ["a"], "b").node("Flatten", ["b"], "y").output("y").model()
    let backend = CPUBackend()
    let classifier = try ONNXClassifier(model, on: backend)
    #expect(classifier.imageSize.map { $0 == (4, 4) } == true, "of the sides one is fixed")
    let values = (0..<336).map { (i: Int) -> Float in Float((i * i) % 11) }
    func logits(_ count: Int) throws -> ArraySlice<Double> {
      let x = try backend.upload(HostTensor(Array(values.prefix(48 * count)), shape: [count, 4, 4, 3]))
      let y = try backend.download(try classifier(x))
      #expect(y.shape == [count, 2])
      return y.doubles[...]
    }
    let alone = try logits(1)
    let all = try logits(7)
    #expect(Set(all).count > 2 && alone == all.prefix(2))
    for count in [5, 3, 1] { #expect(try logits(count) == all.prefix(2 * count)) }
  }

  @Test func whatIsNoClassifierIsRefused() throws {
    let two = TestModel().input("x", [-1, 3, 4, 4]).input("z", [-1, 3, 4, 4]).node("Add", ["x", "z"], "y").output("y")
    let image = TestModel().input("x", [-1, 3, 4, 4]).node("Relu", ["x"], "y").output("y")
    let row = TestModel().input("x", [-1, 3]).node("Relu", ["x"], "y").output("y")
    let open = TestModel().input("x", [-1, -1, -1, -1]).node("GlobalAveragePool", ["x"], "y").output("y")
    for (model, says) in [(two, "2 inputs"), (image, "a row of classes"), (row, "images have four"), (open, "how many channels")]
    {
      let file = try model.model()
      let message = failureMessage { _ = try ONNXClassifier(file, on: CPUBackend()) }
      #expect(message.contains(says), "\(message)")
    }
  }
}
