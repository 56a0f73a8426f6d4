import CPUBackend
import Compute
import NN
import Support
import Testing

@Suite struct ParameterStoreTests {
  private func store() -> ParameterStore {
    let store = ParameterStore()
    _ = ConvolutionUnit(store.root / "conv1", store.root / "bn1", inputs: 3, outputs: 5, window: 3)
    _ = LinearLayer(store.root / "fc", inputs: 5, outputs: 7)
    return store
  }

  @Test func scopesMakeNamesInOrderOfDeclaration() {
    let store = store()
    let unit = store.root / "layer1" / "0"
    #expect(unit.child("conv2").path == "layer1.0.conv2")
    #expect(
      store.entries.map(\.name) == [
        "conv1.weight", "bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var", "fc.weight", "fc.bias",
      ])
    #expect(store.parameterCount == 3 * 3 * 3 * 5 + 2 * 5 + 5 * 7 + 7)
    #expect(store["fc.weight"]?.torchShape == [7, 5])
    #expect(store["fc.running_mean"] == nil)
  }

  @Test func arenasHoldTheParametersWithZerosBetween() throws {
    let (store, backend) = (store(), CPUBackend())
    try store.allocate(on: backend, seed: 1)
    // The parameters have 135, 5, 5, 35 and 7 floats, each rounded up to 64 bytes.
    #expect(store.weightsArena.count == 144 + 16 + 16 + 48 + 16)
    #expect(store.gradientsArena.count == store.weightsArena.count)
    #expect(store.stateArena.count == 16 + 16)
    let arena = try backend.download(store.weightsArena).floats
    let filter = try backend.download(#require(store["conv1.weight"]).value).floats
    #expect(Array(arena[..<135]) == filter)
    #expect(arena[135..<144].allSatisfy { $0 == 0 })
    #expect(arena[144..<160] == [1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    #expect(try backend.download(store.stateArena).floats[16..<22] == [1, 1, 1, 1, 1, 0])
    #expect(try backend.download(store.gradientsArena).floats.allSatisfy { $0 == 0 })
  }

  @Test func initialValuesDependOnTheSeedAlone() throws {
    func weights(_ precision: DataType, seed: UInt64) throws -> [Float] {
      let (store, backend) = (store(), CPUBackend(precision: precision))
      try store.allocate(on: backend, seed: seed)
      return try store.stateDictionary().flatMap(\.tensor.floats)
    }
    let values = try weights(.float32, seed: 3)
    #expect(try weights(.float32, seed: 3) == values)
    #expect(try weights(.float64, seed: 3) == values)
    #expect(try weights(.float32, seed: 4) != values)
  }

  @Test func initialValuesHaveTheirDistributions() throws {
    let (store, backend) = (ParameterStore(), CPUBackend())
    let conv = Conv2DLayer(store.root / "conv", inputs: 64, outputs: 128, window: 3)
    let twin = Conv2DLayer(store.root / "twin", inputs: 64, outputs: 128, window: 3)
    let fc = LinearLayer(store.root / "fc", inputs: 256, outputs: 100)
    try store.allocate(on: backend, seed: 0)

    let filter = try backend.download(conv.filter.value).doubles
    let count = Double(filter.count)
    let deviation = (2.0 / (128 * 9)).squareRoot()
    // The k-th moment of n standard normals has mean 0, 1, 0, 3 and deviation √(1, 2, 15, 96) / √n: five deviations are allowed.
    let expected: [(mean: Double, variance: Double)] = [(0, 1), (1, 2), (0, 15), (3, 96)]
    for (power, moment) in zip(1...4, expected) {
      var sum = 0.0
      for value in filter {
        var product = 1.0
        for _ in 0..<power { product *= value / deviation }
        sum += product
      }
      let allowed: Double = 5 * (moment.variance / count).squareRoot()
      #expect(abs(sum / count - moment.mean) < allowed)
    }
    #expect(try backend.download(twin.filter.value).doubles != filter)

    let weight = try backend.download(fc.weight.value).doubles
    #expect(weight.allSatisfy { abs($0) <= 1.0 / 16 })
    #expect(weight.contains { $0 > 0.99 / 16 } && weight.contains { $0 < -0.99 / 16 })
    let allowed: Double = 5 * (1.0 / 16) / (3 * 25600.0).squareRoot()
    #expect(abs(weight.reduce(0, +) / 25600) < allowed)
  }

  @Test func stateDictionaryIsInTorchLayout() throws {
    let (store, backend) = (store(), CPUBackend())
    try store.allocate(on: backend)
    try store.assign("conv1.weight", HostTensor((0..<135).map(Float.init), shape: [3, 3, 3, 5]))
    try store.assign("fc.weight", HostTensor((0..<35).map(Float.init), shape: [5, 7]))
    let dictionary = Dictionary(uniqueKeysWithValues: try store.stateDictionary().map { ($0.name, $0.tensor) })

    let filter = try #require(dictionary["conv1.weight"])
    #expect(filter.shape == [5, 3, 3, 3])
    for (k, c, r, s) in [(0, 0, 0, 0), (4, 1, 2, 0), (2, 2, 0, 1), (4, 2, 2, 2)] {
      #expect(filter.floats[((k * 3 + c) * 3 + r) * 3 + s] == Float(((r * 3 + s) * 3 + c) * 5 + k))
    }
    let linear = try #require(dictionary["fc.weight"])
    #expect(linear.shape == [7, 5])
    #expect(linear.floats[6 * 5 + 2] == 2 * 7 + 6)
  }

  @Test func loadingRestoresWhatWasSaved() throws {
    let (saved, loaded, backend) = (store(), store(), CPUBackend())
    try saved.allocate(on: backend, seed: 5)
    try loaded.allocate(on: backend, seed: 6)
    var dictionary = Dictionary(uniqueKeysWithValues: try saved.stateDictionary().map { ($0.name, $0.tensor) })
    dictionary["bn1.num_batches_tracked"] = HostTensor(shape: [], type: .int64, bytes: [9, 0, 0, 0, 0, 0, 0, 0])
    try loaded.load(dictionary)
    #expect(try backend.download(loaded.weightsArena) == backend.download(saved.weightsArena))
    #expect(try backend.download(loaded.stateArena) == backend.download(saved.stateArena))

    let arena = try Dictionary(uniqueKeysWithValues: saved.dictionary(of: saved.weightsArena).map { ($0.name, $0.tensor) })
    try loaded.load(arena, into: loaded.gradientsArena)
    #expect(try backend.download(loaded.gradientsArena) == backend.download(saved.weightsArena))
  }

  @Test func loadingExplainsWhatDoesNotFit() throws {
    let (store, backend) = (store(), CPUBackend())
    try store.allocate(on: backend, seed: 5)
    let before = try backend.download(store.weightsArena)
    let good = Dictionary(uniqueKeysWithValues: try store.stateDictionary().map { ($0.name, $0.tensor) })
    func message(_ change: (inout [String: HostTensor]) -> Void) -> String {
      var dictionary = good.mapValues { HostTensor([Float](repeating: 2, count: $0.count), shape: $0.shape) }
      change(&dictionary)
      do { try store.load(dictionary) } catch { return "\(error)" }
      return ""
    }
    #expect(message { $0["fc.bias"] = nil }.contains("'fc.bias'"))
    #expect(message { $0["layer9.weight"] = $0["fc.bias"] }.contains("'layer9.weight'"))
    let shape = message { $0["fc.weight"] = HostTensor([Float](repeating: 0, count: 50), shape: [10, 5]) }
    #expect(shape.contains("1 of another shape: 'fc.weight' is [10, 5], the model expects [7, 5]"))
    #expect(message { $0["fc.bias"] = HostTensor([Int32](repeating: 0, count: 7), shape: [7]) }.contains("int32"))
    #expect(try backend.download(store.weightsArena) == before)
    #expect(throws: Failure.self) { try store.assign("fc.wait", HostTensor([Float](), shape: [0])) }
  }
}
