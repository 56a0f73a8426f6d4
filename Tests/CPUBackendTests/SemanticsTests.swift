import CPUBackend
import Compute
import Testing

/// Checks promises of the protocol that go beyond PyTorch's results. The expected values were calculated by hand.
@Suite struct SemanticsTests {
  private let backend = CPUBackend()

  private func tensor(_ elements: [Float], _ shape: Shape) throws -> Tensor {
    try backend.upload(HostTensor(elements, shape: shape))
  }

  private func integers(_ elements: [Int32], _ shape: Shape) throws -> Tensor {
    try backend.upload(HostTensor(elements, shape: shape))
  }

  private func floats(_ tensor: Tensor) throws -> [Float] { try backend.download(tensor).floats }

  // MARK: Convolution

  @Test func theInputGradientAddsWhereAsked() throws {
    let g = Conv2D(input: [1, 3, 3, 1], filter: [1, 1, 1, 1], stride: 2)
    let (dy, filter) = (try tensor([1, 2, 3, 4], [1, 2, 2, 1]), try tensor([10], [1, 1, 1, 1]))
    let dx = try tensor([Float](repeating: 0.5, count: 9), [1, 3, 3, 1])
    backend.convolutionInputGradient(dy, filter: filter, g, accumulate: true, into: dx)
    #expect(try floats(dx) == [10.5, 0.5, 20.5, 0.5, 0.5, 0.5, 30.5, 0.5, 40.5])
    backend.convolutionInputGradient(dy, filter: filter, g, accumulate: false, into: dx)
    #expect(try floats(dx) == [10, 0, 20, 0, 0, 0, 30, 0, 40])
  }

  // MARK: Pooling

  /// Of three pixels two become: each new pixel covers one and a half.
  @Test func imagesShrinkByArea() throws {
    let y = try backend.tensor([1, 1, 2, 1])
    backend.shrink(try tensor([3, 6, 12], [1, 1, 3, 1]), into: y)
    #expect(try floats(y) == [4, 10])
    let z = try backend.tensor([1, 2, 1, 2])
    backend.shrink(try tensor([3, 1, 5, 1, 6, 2, 8, 2, 12, 3, 14, 3], [1, 3, 2, 2]), into: z)
    #expect(zip(try floats(z), [5, 4 / 3.0, 11, 8 / 3.0]).allSatisfy { abs($0 - Float($1)) < 1e-6 })
  }

  // MARK: Batch normalization

  private func channels() throws -> BatchNormChannels {
    BatchNormChannels(
      mean: try tensor([1, 2], [2]), inverseDeviation: try tensor([0.5, 2], [2]), scale: try tensor([2, 1], [2]),
      bias: try tensor([0, -1], [2]))
  }

  /// Expected values: y = (x − 1)·0.5·2 + 0 and (x − 2)·2·1 − 1.
  @Test func batchNormWorksInPlace() throws {
    let x = try tensor([3, 3, -1, 2], [2, 2])
    backend.batchNorm(x, try channels(), residual: nil, relu: false, into: x)
    #expect(try floats(x) == [2, 1, -2, -1])
    let second = try tensor([3, 3, -1, 2], [2, 2])
    backend.batchNorm(second, try channels(), residual: try tensor([1, -3, 3, 1], [2, 2]), relu: true, into: second)
    #expect(try floats(second) == [3, 0, 1, 0])
  }

  @Test func batchNormGradientMayReplaceDy() throws {
    let (x, y) = (try tensor([3, 3, -1, 2, 0, 5], [3, 2]), try tensor([1, 0, 2, 3, 0, 1], [3, 2]))
    let values: [Float] = [1, 2, 3, 4, 5, 6]
    func run(_ dy: Tensor, dx: Tensor, dresidual: Tensor) throws -> [[Float]] {
      let (dscale, dbias) = (try backend.tensor([2]), try backend.tensor([2]))
      backend.batchNormGradient(
        dy, x: x, mask: .result(y), try channels(), into: dx, dscale: dscale, dbias: dbias, dresidual: dresidual)
      return try [dx, dresidual, dscale, dbias].map(floats)
    }
    let dy = try (0..<3).map { _ in try tensor(values, [3, 2]) }
    let spare = try (0..<4).map { _ in try backend.tensor([3, 2]) }
    let expected = try run(dy[0], dx: spare[0], dresidual: spare[1])
    #expect(expected[1] == [1, 0, 3, 4, 0, 6])
    #expect(expected[3] == [4, 10])
    #expect(try run(dy[1], dx: dy[1], dresidual: spare[2]) == expected)
    #expect(try run(dy[2], dx: spare[3], dresidual: dy[2]) == expected)
  }

  /// Uses the values 10000 ± 1, for which one-pass formulas lose the variance, 1.
  @Test func aLargeMeanCostsNoDigits() throws {
    let x = try tensor((0..<1000).map { $0.isMultiple(of: 2) ? 9999 : 10001 }, [1000, 1])
    let (mean, inverse) = (try backend.tensor([1]), try backend.tensor([1]))
    let (runningMean, runningVariance) = (try tensor([0], [1]), try tensor([1], [1]))
    backend.batchNormStatistics(
      x,
      BatchNormStatistics(
        epsilon: 0, momentum: 0.5, mean: mean, inverseDeviation: inverse, runningMean: runningMean,
        runningVariance: runningVariance))
    #expect(try floats(mean) == [10000])
    #expect(try floats(inverse) == [1])
    #expect(try floats(runningMean) == [5000])
    #expect(try floats(runningVariance) == [Float(0.5 + 0.5 * 1000 / 999)])
  }

  // MARK: Pooling, ReLU

  @Test func maxPoolTakesTheFirstOfEqualsAndNaN() throws {
    let g = Pool2D(input: [1, 2, 2, 3], window: 2, stride: 2)
    // The channels have equal values, a NaN among numbers, and two NaNs.
    let x = try tensor([1, 5, 7, 3, .nan, .nan, 3, 9, 8, 2, 1, .nan], [1, 2, 2, 3])
    let (y, positions) = (try backend.tensor([1, 1, 1, 3]), try backend.tensor([1, 1, 1, 3], .uint8))
    backend.maxPool(x, g, into: y, positions: positions)
    let largest = try floats(y)
    #expect(largest[0] == 3 && largest[1].isNaN && largest[2].isNaN)
    #expect(try backend.download(positions).bytes == [1, 1, 1])
  }

  @Test func reluKeepsNaN() throws {
    let x = try tensor([-1, .nan, 0, 2, -.infinity, .infinity], [6])
    backend.relu(x, into: x)
    let y = try floats(x)
    #expect(y[1].isNaN)
    #expect([y[0], y[2], y[3], y[4], y[5]] == [0, 0, 2, 0, .infinity])
  }

  @Test func reluGradientIsZeroAtZero() throws {
    let dy = try tensor([1, 2, 3, 4], [4])
    backend.reluGradient(dy, y: try tensor([0, 1, -1, 0.1], [4]), into: dy)
    #expect(try floats(dy) == [0, 2, 0, 4])
  }

  @Test func addMayReplaceEitherTerm() throws {
    let (a, b) = (try tensor([1, -5], [2]), try tensor([2, 3], [2]))
    backend.add(a, b, relu: false, into: a)
    #expect(try floats(a) == [3, -2])
    backend.add(a, b, relu: true, into: b)
    #expect(try floats(b) == [5, 1])
  }

  // MARK: Shortcut

  /// Maps three channels to six: one zero channel before, two after.
  @Test func padShortcutPutsTheSmallerHalfFirst() throws {
    let x = try tensor((1...18).map(Float.init), [1, 2, 3, 3])
    let y = try backend.tensor([1, 1, 2, 6])
    backend.padShortcut(x, stride: 2, into: y)
    #expect(try floats(y) == [0, 1, 2, 3, 0, 0, 0, 7, 8, 9, 0, 0])
    let dx = try tensor([Float](repeating: 1, count: 18), [1, 2, 3, 3])
    backend.padShortcutGradient(y, stride: 2, accumulate: true, into: dx)
    #expect(try floats(dx) == [2, 3, 4, 1, 1, 1, 8, 9, 10, 1, 1, 1, 1, 1, 1, 1, 1, 1])
  }

  // MARK: Loss

  private func metrics(_ logits: [Float], _ shape: Shape, labels: [Int32], smoothing: Double = 0) throws -> [Float] {
    let metrics = try tensor([0, 0, 0], [3])
    try backend.crossEntropy(
      try tensor(logits, shape), labels: try integers(labels, [shape[0]]), smoothing: smoothing, metrics: metrics, gradient: nil,
      lossScale: nil)
    return try floats(metrics)
  }

  @Test func ofEqualLogitsTheLowerIndexRanksFirst() throws {
    let equal = [Float](repeating: 2, count: 7)
    for label in 0..<7 as Range<Int32> {
      let counts = try metrics(equal, [1, 7], labels: [label]).dropFirst()
      #expect(Array(counts) == [label == 0 ? 1 : 0, label < 5 ? 1 : 0])
    }
  }

  @Test func fewerThanFiveClassesAreAllAmongTheTopFive() throws {
    #expect(try metrics([1, 2, 3, 4], [2, 2], labels: [0, 1])[2] == 2)
  }

  @Test func aRowWithNaNCountsAsNeither() throws {
    let result = try metrics([3, .nan, 1, 3, 2, 1], [2, 3], labels: [0, 0])
    #expect(result[0].isNaN)
    #expect(Array(result[1...]) == [1, 1])
  }

  @Test func largeLogitsDoNotOverflow() throws {
    #expect(try metrics([1e4, -1e4, 0], [1, 3], labels: [0]) == [0, 1, 1])
    #expect(try metrics([1e4, -1e4, 0], [1, 3], labels: [1]) == [2e4, 0, 1])
    let probabilities = try backend.tensor([1, 3])
    backend.softmax(try tensor([1e4, 1e4, -1e4], [1, 3]), into: probabilities)
    #expect(try floats(probabilities) == [0.5, 0.5, 0])
  }

  @Test func metricsAddUp() throws {
    let metrics = try tensor([100, 10, 20], [3])
    try backend.crossEntropy(
      try tensor([0, 0], [1, 2]), labels: try integers([0], [1]), smoothing: 0, metrics: metrics, gradient: nil,
      lossScale: nil)
    #expect(try floats(metrics) == [Float(100 + 0.693147180559945), 11, 21])
  }

  // MARK: Batches

  /// Uses one image [2,3,1] with the pixels 1 … 6.
  @Test func gatherBatchCropsFlipsAndMaps() throws {
    let images = try backend.upload(HostTensor([0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6] as [UInt8], shape: [2, 2, 3, 1]))
    let plan = try integers([1, 0, 0, 0, 1, 0, 0, 1, 1, -1, 1, 0, 1, 1, -1, 1], [4, 4])
    let (x, labels) = (try backend.tensor([4, 2, 3, 1]), try backend.tensor([4], .int32))
    backend.gatherBatch(
      images: images, labels: try integers([7, 8], [2]), plan: plan, channelMap: try tensor([10, 1], [2, 1]), into: x,
      batchLabels: labels)
    let expected: [[Float]] = [
      [11, 21, 31, 41, 51, 61],
      [31, 21, 11, 61, 51, 41],
      [1, 1, 1, 21, 31, 1],
      [51, 41, 1, 1, 1, 1],
    ]
    #expect(try floats(x) == expected.flatMap { $0 })
    #expect(try backend.download(labels).doubles == [8, 8, 8, 8])
  }
}
