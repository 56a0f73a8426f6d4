import CPUBackend
import Checkpoints
import Compute
import Datasets
import Foundation
import Models
import NN
import Testing
import Training

/// Tests losses around the weights of a network, on the reference.
@Suite struct LandscapeTests {
  private let images = SyntheticImages(count: 11, validationCount: 4, classes: 3, size: 8).splits().train

  private func network(_ backend: CPUBackend = CPUBackend()) throws -> ResNetClassifier {
    let network = try ResNet(ModelConfiguration(name: "resnet8", classes: 3))
    try network.store.allocate(on: backend, seed: 3)
    return ResNetClassifier(network)
  }

  private func probe(_ network: ResNetClassifier, x: WeightDirection, y: WeightDirection) throws -> LandscapeProbe {
    try LandscapeProbe(
      network, try BatchLoader(images, streams: true, on: network.backend), batchSize: 4, directions: (x: x, y: y))
  }

  /// Norms of the filters of [..., K].
  private func norms(_ values: [Float], _ outputs: Int) -> [Double] {
    (0..<outputs).map { k in
      stride(from: k, to: values.count, by: outputs).reduce(0) { $0 + Double(values[$1]) * Double(values[$1]) }.squareRoot()
    }
  }

  @Test func filtersHaveTheLengthsOfTheNetworks() throws {
    let store = try network().model.store
    let direction = try WeightDirection(for: store, seed: 1, number: 0)
    let moving = store.parameters.filter { direction.values[$0.name] != nil }
    #expect(moving.map(\.name) == store.parameters.filter { $0.shape.rank > 1 }.map(\.name) && moving.count == 8)
    for parameter in moving {
      let values = try #require(direction.values[parameter.name])
      let weights = try store.backend.download(parameter.value).floats
      let outputs = parameter.shape[parameter.shape.rank - 1]
      for (found, expected) in zip(norms(values, outputs), norms(weights, outputs)) {
        #expect(abs(found - expected) <= 1e-5 * expected, "\(parameter.name)")
      }
      // The direction is neither that of the weights nor another one of the same seed.
      let product = zip(values, weights).reduce(0) { $0 + Double($1.0) * Double($1.1) }
      let squares = weights.reduce(0) { $0 + Double($1) * Double($1) }
      #expect(abs(product) < 0.5 * squares, "\(parameter.name): \(product / squares)")
    }
    #expect(try WeightDirection(for: store, seed: 1, number: 0).values == direction.values)
    #expect(try WeightDirection(for: store, seed: 1, number: 1).values["fc.weight"] != direction.values["fc.weight"])
    #expect(try WeightDirection(for: store, seed: 2, number: 0).values["fc.weight"] != direction.values["fc.weight"])
  }

  /// Moves the last layer alone, so that each loss follows from the features.
  @Test func lossesAreThoseOfTheMovedWeights() throws {
    let network = try network()
    let store = network.model.store
    let (weight, bias) = (try #require(store["fc.weight"]), try #require(store["fc.bias"]))
    let values = try [weight, bias].map { try store.backend.download($0.value).floats }
    let whole = try (0..<2).map { try WeightDirection(for: store, seed: 4, number: $0).values["fc.weight"] ?? [] }
    let probe = try probe(
      network, x: WeightDirection(values: ["fc.weight": whole[0]]), y: WeightDirection(values: ["fc.weight": whole[1]]))
    let x = images.normalization.applied(to: images.images.bytes)
    let features = try network.model.features(
      of: Variable(try store.backend.upload(HostTensor(x, shape: images.shape))), Pass(on: store.backend, mode: .inference))
    let rows = try store.backend.download(features.value).doubles
    func loss(_ a: Double, _ b: Double) -> Double {
      let total = images.items.reduce(0.0) { sum, item in
        let logits = (0..<3).map { k in
          (0..<64).reduce(Double(values[1][k])) { logit, f in
            let moved = Double(values[0][f * 3 + k]) + a * Double(whole[0][f * 3 + k]) + b * Double(whole[1][f * 3 + k])
            return logit + rows[item.sample * 64 + f] * moved
          }
        }
        return sum + log(logits.map(exp).reduce(0, +)) - logits[Int(item.label)]
      }
      return total / Double(images.count)
    }
    let landscape = try #require(try probe.landscape(steps: 5, range: 2))
    #expect(landscape.offsets == [-2, -1, 0, 1, 2])
    for (row, b) in landscape.offsets.enumerated() {
      for (column, a) in landscape.offsets.enumerated() {
        let (found, expected) = (landscape[row, column].loss, loss(a, b))
        #expect(abs(found - expected) <= 1e-5 * (1 + expected), "\(a), \(b): \(found), \(expected)")
      }
    }
    #expect(Set(landscape.losses).count == 25)
  }

  @Test func middleIsTheNetworkItself() throws {
    let network = try network()
    let store = network.model.store
    let before = try store.stateDictionary().map(\.tensor)
    let loader = try BatchLoader(images, on: network.backend)
    let expected = try #require(try network.measure(loader, batchSize: 4))
    let directions = try (0..<2).map { try WeightDirection(for: store, seed: 0, number: $0) }
    let probe = try probe(network, x: directions[0], y: directions[1])
    let landscape = try #require(try probe.landscape(steps: 3, range: 0.5))
    #expect(landscape.center == expected && landscape.points.count == 9 && Set(landscape.losses).count == 9)
    #expect(try store.stateDictionary().map(\.tensor) == before)
    #expect(try probe.landscape(steps: 3, range: 0.5) == landscape)
    // A walk that is stopped leaves the weights as they were, too.
    #expect(try probe.landscape(steps: 3, range: 0.5) { $0 < 2 } == nil)
    #expect(try store.stateDictionary().map(\.tensor) == before)
  }
}
