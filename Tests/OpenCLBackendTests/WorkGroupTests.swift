import CPUBackend
import Compute
import Conformance
import DryRun
import OpenCL
import OpenCLBackend
import Testing

/// Tests the GPU kernels whose work-groups share rows, and Winograd convolutions in their form, on any device.
@Suite struct WorkGroupTests {
  /// - Parameters:
  ///   - items: largest number of work-items in a work-group.
  ///   - localMemory: bytes; a tree over vectors of four floats takes 16 bytes per work-item.
  private func backend(items: Int, localMemory: Int = 32 << 10) throws -> OpenCLBackend {
    let device = try DeviceList.find("opencl").device
    var traits = try DeviceTraits(device)
    traits.kernelClass = .localTiled
    (traits.vectorWidth, traits.accumulators) = (4, 12)
    // Rows are cut into as many chunks as possible.
    traits.wantedItems = 1 << 16
    traits.largestGroup = min(items, traits.largestGroup)
    traits.localMemory = min(localMemory, traits.localMemory)
    return try OpenCLBackend(device: device, traits: traits)
  }

  /// Whether the case is neither a matrix product nor a convolution, which have their own tests.
  private static func isNoProduct(_ subject: Case) -> Bool {
    !["convolution", "multiply", "prepareFilter"].contains { subject.operation.hasPrefix($0) }
  }

  @Test(arguments: [(64, 256, true), (256, 32 << 10, false)])
  func groupsOfAnySizeAgreeWithTheReference(items: Int, localMemory: Int, inSixteenBits: Bool) throws {
    let (backend, reference) = (try backend(items: items, localMemory: localMemory), CPUBackend())
    let cases = Catalog.sample(
      (inSixteenBits ? Catalog.half : Catalog.small).filter(Self.isNoProduct), oneOf: 4, from: inSixteenBits ? 0 : 1)
    #expect(cases.count > 50)
    for subject in cases {
      let outcome = try Conformance.check(subject, on: backend, against: reference)
      #expect(outcome.passed, "\(outcome.name): \(outcome.message)")
    }
  }

  @Test func resultsHaveTheSameBitsTwice() throws {
    let backend = try backend(items: 64)
    let operations = [
      "batchNorm", "globalAverage", "crossEntropy", "weightedCrossEntropy", "sumClassWeights", "softmax", "sumRows",
    ]
    let cases = Catalog.small.filter { subject in operations.contains { subject.operation.hasPrefix($0) } }
    for subject in cases {
      let results = try (0..<2).map { _ in
        let prepared = try subject.prepare(on: backend)
        try prepared.run()
        return try prepared.outputs().map(\.values)
      }
      #expect(results[0] == results[1], "\(subject.name)")
    }
  }

  // MARK: Winograd

  /// Sizes that no tile divides, few channels, and an image without zero padding.
  private static let works = [
    Conv2D(input: [3, 9, 7, 32], filter: [3, 3, 32, 64], padding: 1),
    Conv2D(input: [2, 5, 6, 12], filter: [3, 3, 12, 20], padding: 1), Conv2D(input: [2, 7, 6, 5], filter: [3, 3, 5, 6]),
  ].flatMap { g in
    [
      ConvolutionWork(.forward, g), ConvolutionWork(.forwardWithStatistics, g), ConvolutionWork(.inference, g),
      ConvolutionWork(.inputGradient, g, accumulates: true), ConvolutionWork(.filterGradient, g),
    ]
  }

  @Test(arguments: works) func batchesOfProductsAgreeWithTheReference(_ work: ConvolutionWork) throws {
    let tests = ConvolutionChoiceTests()
    let expected = try ConvolutionRun.results(of: work, on: CPUBackend())
    let choices: [[String: Int]] = [[:], ["M": 2], ["BM": 64, "BN": 32, "TM": 8, "TN": 4, "SPLITS": 3]]
    for numbers in choices {
      let backend = try backend(items: 256)
      let choice = try ConvolutionChoice.named("batched", numbers)
      backend.choose(choice, for: work.withoutStatistics)
      let results = try ConvolutionRun.results(of: work, on: backend)
      tests.expect("\(choice)", results, expected, .convolution(work, winograd: true))
      let dry = DryRunBackend(modeling: backend)
      _ = try ConvolutionRun.results(of: work, on: dry)
      #expect(dry.memory == backend.memory, "\(choice)")
      #expect(try ConvolutionRun.results(of: work, on: backend) == results, "\(choice)")
    }
  }

  /// Checks when the built-in choice is batched: the candidates do not contain the built-in choice.
  @Test func largeConvolutionsAreBatched() throws {
    let backend = try backend(items: 256)
    func isBuiltIn(_ pass: ConvolutionPass, images: Int, channels: Int) -> Bool {
      let g = Conv2D(input: [images, 28, 28, channels], filter: [3, 3, channels, channels], padding: 1)
      return !backend.candidates(for: ConvolutionWork(pass, g)).contains { "\($0)" == "batched" }
    }
    #expect(isBuiltIn(.forward, images: 256, channels: 128) && !isBuiltIn(.forward, images: 256, channels: 64))
    #expect(isBuiltIn(.filterGradient, images: 256, channels: 64) && !isBuiltIn(.filterGradient, images: 256, channels: 32))
    #expect(!isBuiltIn(.inference, images: 1, channels: 16))
  }
}
