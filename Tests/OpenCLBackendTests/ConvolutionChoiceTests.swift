import CPUBackend
import Compute
import Conformance
import DryRun
import OpenCL
import OpenCLBackend
import Testing

/// Tests convolution choices that replace the built-in ones.
@Suite struct ConvolutionChoiceTests {
  /// All passes of shapes that reach every plan: Winograd fused and staged, strides, one tap, few channels.
  static let works = [
    Conv2D(input: [3, 9, 7, 32], filter: [3, 3, 32, 64], padding: 1),
    Conv2D(input: [2, 9, 9, 16], filter: [3, 3, 16, 32], stride: 2, padding: 1),
    Conv2D(input: [2, 7, 5, 48], filter: [1, 1, 48, 32]), Conv2D(input: [3, 8, 8, 3], filter: [3, 3, 3, 16], padding: 1),
  ].flatMap { ConvolutionRun.works($0) }

  private func backend() throws -> OpenCLBackend { try OpenCLBackend(device: DeviceList.find("opencl").device, profiling: true) }

  func expect(_ name: String, _ results: [HostTensor], _ expected: [HostTensor], _ bound: Bound) {
    for (index, (result, expected)) in zip(results, expected).enumerated() {
      #expect(Comparison("\(name), result \(index)", result, against: expected, bound).complaint == nil)
    }
  }

  /// Checks every fourth candidate (the tuner checks all of them on the user's device), and the workspace memory that a dry
  /// run predicts.
  @Test(arguments: works) func candidatesAgreeWithTheReference(_ work: ConvolutionWork) throws {
    try expectCandidates(of: work, every: 4, on: backend)
  }

  @Test(.enabled(if: try FastMathematics.isThere, FastMathematics.comment), arguments: works)
  func candidatesOfFastMathematicsAgreeToo(_ work: ConvolutionWork) throws {
    try expectCandidates(of: work, every: 7) { try FastMathematics.backend(profiling: true) }
  }

  private func expectCandidates(of work: ConvolutionWork, every step: Int, on backend: () throws -> OpenCLBackend) throws {
    let expected = try ConvolutionRun.results(of: work, on: CPUBackend())
    let candidates = try backend().candidates(for: work)
    #expect(!candidates.isEmpty && Set(candidates).count == candidates.count)
    // The built-in choice comes first.
    for candidate in [nil] + stride(from: 0, to: candidates.count, by: step).map({ candidates[$0] }) {
      let (backend, name) = (try backend(), candidate?.description ?? "built in")
      backend.choose(candidate, for: work.withoutStatistics)
      let bound = Bound.convolution(work, winograd: candidate?.transforms ?? true).multiplying(
        backend.factorType(storing: work.storage))
      expect(name, try ConvolutionRun.results(of: work, on: backend), expected, bound)
      let dry = DryRunBackend(modeling: backend)
      _ = try ConvolutionRun.results(of: work, on: dry)
      #expect(dry.memory == backend.memory, "\(name)")
    }
  }

  @Test(arguments: works) func numbersThatDoNotSuitAreIgnored(_ work: ConvolutionWork) throws {
    let backend = try backend()
    let expected = try ConvolutionRun.results(of: work, on: CPUBackend())
    let names = ["TC", "TP", "TQ", "TR", "TI", "TB", "M", "SPLITS", "STAGED", "BM", "BN", "BK", "TM", "TN"]
    for algorithm in ConvolutionChoice.algorithmNames {
      let known = names.filter { ConvolutionChoice("\(algorithm) \($0)=1") != nil }
      #expect(known.isEmpty == ["plain", "product"].contains(algorithm))
      for number in [0, 5, 1 << 20] {
        let choice = try ConvolutionChoice.named(algorithm, Dictionary(uniqueKeysWithValues: known.map { ($0, number) }))
        backend.choose(choice, for: work.withoutStatistics)
        let results = try ConvolutionRun.results(of: work, on: backend)
        expect("\(algorithm) \(number)", results, expected, .convolution(work, winograd: true))
      }
    }
  }

  @Test func tableDecidesWhatRuns() throws {
    let work = Self.works[0]
    var table = TuningTable()
    table[work] = TuningTable.Entry(choice: try .named("plain"), builtInSeconds: 2, seconds: 1, isComplete: true)
    let device = try DeviceList.find("opencl").device
    let backend = try OpenCLBackend(device: device, profiling: true, tuning: table)
    backend.startProfile()
    _ = try ConvolutionRun.results(of: work, on: backend)
    #expect(try backend.endProfile().kernels.contains { $0.kernel.hasPrefix("convolution_plain ") })
    // Other work is not affected.
    backend.startProfile()
    _ = try ConvolutionRun.results(of: Self.works[6], on: backend)
    #expect(try !backend.endProfile().kernels.contains { $0.kernel.hasPrefix("convolution_plain ") })
  }

  @Test func choiceDoesNotPassThePolicyOfAccuracy() throws {
    let device = try DeviceList.find("opencl").device
    let work = Self.works[0]
    func runsLargeTiles(policy: Int) throws -> Bool {
      var traits = try DeviceTraits(device)
      (traits.winogradSide, traits.forwardWinogradSide) = (policy, policy)
      let backend = try OpenCLBackend(device: device, profiling: true, traits: traits)
      backend.choose(try .named("winograd", ["M": 4]), for: work)
      backend.startProfile()
      _ = try ConvolutionRun.results(of: work, on: backend)
      return try backend.endProfile().kernels.contains { $0.kernel.contains(" M=4 ") }
    }
    #expect(try !runsLargeTiles(policy: 2))
    if try DeviceTraits(device).isCPU { #expect(try runsLargeTiles(policy: 4)) }
  }

  @Test func descriptionsAreReadBack() throws {
    let backend = try backend()
    for choice in Self.works.flatMap({ backend.candidates(for: $0) }) { #expect(ConvolutionChoice(choice.description) == choice) }
    for text in [
      "", "fast", "direct TC", "direct TC=", "direct =2", "direct TC=2 TC=2", "direct TC=-1", "direct TC=9999999999999999999",
      "direct  TC=2", "direct TR=2", "plain TC=2",
    ] {
      #expect(ConvolutionChoice(text) == nil, "\(text)")
    }
  }
}
