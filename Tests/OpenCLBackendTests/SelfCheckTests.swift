import CPUBackend
import Compute
import Conformance
import Foundation
import OpenCL
import OpenCLBackend
import TestSupport
import Testing

/// Tests the check of convolutions on their first use, with kernels that are right and with planted wrong ones.
@Suite final class SelfCheckTests {
  private static let geometry = Conv2D(input: [2, 9, 7, 16], filter: [3, 3, 16, 32], padding: 1)

  private let temporary: TemporaryFolder
  private let device: Device
  private var warnings: [String] = []
  private var told: [ConvolutionFallback] = []
  private var unknown: [String] = []

  init() throws {
    temporary = try TemporaryFolder()
    device = try DeviceList.find("opencl").device
  }

  private func cache() throws -> DeviceCache {
    try DeviceCache("\(temporary.path)/cache", device: device) { self.warnings.append($0) }
  }

  /// Opens the device with kernels for CPUs and a check.
  /// - Parameters:
  ///   - kernels: folder of the kernels; nil for the package's own.
  ///   - work: work that Winograd's kernels compute; nil for none.
  private func backend(_ cache: DeviceCache?, kernels: String? = nil, for work: ConvolutionWork? = nil) throws -> OpenCLBackend {
    let backend = try OpenCLBackend(
      device: device, traits: DeviceTraits(device, kernelClass: .registerTiled), kernels: kernels)
    backend.checks = CheckedPlans(cache) { self.unknown.append($0) }
    backend.onFallback = { self.told.append($0) }
    if let work { backend.choose(try .named("winograd", ["STAGED": 0]), for: work.withoutStatistics) }
    return backend
  }

  /// Returns a folder of kernels in which a line of Winograd's file is another one.
  private func kernels(_ line: String, by other: String) throws -> String {
    let folder = "\(temporary.path)/kernels"
    try copyKernels(to: folder, altering: "winograd.cl") { text in
      try #require(text.contains(line))
      return text.replacingOccurrences(of: line, with: other)
    }
    return folder
  }

  /// Computes work, and compares it with the reference.
  /// - Returns: a description of the error; nil if the result is right.
  private func complaint(_ work: ConvolutionWork, on backend: OpenCLBackend) throws -> String? {
    let expected = try ConvolutionRun.results(of: work, on: CPUBackend())
    return zip(try ConvolutionRun.results(of: work, on: backend), expected).lazy.compactMap {
      Comparison("result", $0, against: $1, .convolution(work, winograd: true)).complaint
    }.first
  }

  /// Each kernel leaves out a row of tiles, or takes wrong statistics of a right result.
  @Test(arguments: [
    (
      ConvolutionPass.inputGradient, "for (int i = 0; i < count; i++) store_output",
      "for (int i = 1; i < count; i++) store_output"
    ),
    (.forwardWithStatistics, "STORE(mean[t], to + t * VW)", "STORE(mean[t] * 1.1f, to + t * VW)"),
  ])
  func wrongKernelsAreReplaced(_ pass: ConvolutionPass, line: String, other: String) throws {
    let (work, folder) = (ConvolutionWork(pass, Self.geometry), try kernels(line, by: other))
    let unchecked = try backend(nil, kernels: folder, for: work)
    unchecked.checks = nil
    #expect(try complaint(work, on: unchecked) != nil, "nothing is planted")
    let cache = try cache()
    // A wrong plan is not remembered, and is told once in each run.
    for _ in 0..<2 {
      told = []
      let backend = try backend(cache, kernels: folder, for: work)
      for _ in 0..<2 { #expect(try complaint(work, on: backend) == nil) }
      let fallback = try #require(told.first)
      #expect(told.count == 1 && backend.fallbacks.count == 1)
      #expect(fallback.fault == .wrong(algorithm: "winograd") && fallback.work == work.withoutStatistics, "\(fallback)")
      #expect(fallback.choice.algorithmName == "direct" && !fallback.log.isEmpty, "\(fallback)")
    }
    #expect(unknown.isEmpty && warnings.isEmpty)
  }

  @Test func rightKernelsAreRemembered() throws {
    let (work, cache) = (ConvolutionWork(.inputGradient, Self.geometry), try cache())
    #expect(try complaint(work, on: backend(cache, for: work)) == nil)
    #expect(told.isEmpty && unknown.isEmpty)
    #expect(cache.checkedPlans().count == 1)
    // The same plan is not checked again: what has become wrong since then is not found.
    let folder = try kernels("i < count; i++) store_output", by: "i < count - 1; i++) store_output")
    #expect(try complaint(work, on: backend(cache, kernels: folder, for: work)) != nil)
    #expect(told.isEmpty)
    // It is found if the memory is damaged.
    try Data("damaged".utf8).write(to: URL(fileURLWithPath: "\(cache.path)/checked"))
    #expect(try complaint(work, on: backend(cache, kernels: folder, for: work)) == nil)
    #expect(told.count == 1)
    #expect(!warnings.isEmpty && warnings.allSatisfy { $0.contains("/checked is not used: it is damaged") }, "\(warnings)")
  }

  /// Checks plans of both classes, and that the memory pool does not notice.
  @Test(arguments: KernelClass.allCases) func rightKernelsPass(_ kernelClass: KernelClass) throws {
    let traits = try DeviceTraits(device, kernelClass: kernelClass)
    let cases = Catalog.sample(Catalog.convolutionSamples, oneOf: 8)
    let memory = try [nil, CheckedPlans(nil)].map { checks in
      let backend = try OpenCLBackend(device: device, traits: traits)
      backend.checks = checks
      for subject in cases { try Conformance.run(subject, on: backend) }
      try backend.finish()
      #expect(backend.fallbacks.isEmpty, "\(backend.fallbacks.map { "\($0): \($0.log)" })")
      return backend.memory
    }
    #expect(memory[0] == memory[1])
  }

  @Test func workIsCheckedAheadAndOnce() throws {
    func run(on backend: OpenCLBackend) throws {
      for work in ConvolutionRun.works(Self.geometry) { _ = try ConvolutionRun.results(of: work, on: backend) }
    }
    let cache = try cache()
    var steps: [Int] = []
    let first = try backend(cache)
    #expect(try first.checkConvolutions(named: "work", of: run) { done, _ in steps.append(done) } == 6)
    #expect(steps == Array(0...6) && first.memory == MemoryUse())
    // A pass of its own for each work, and the whole.
    #expect(cache.checkedPlans().count == 7 && cache.checkedPlans().contains("work"))
    #expect(try backend(cache).checkConvolutions(named: "work", of: run) == 0)
    #expect(told.isEmpty && unknown.isEmpty)
  }

  @Test func workThatDoesNotFitIsLeftOut() throws {
    let huge = Conv2D(input: [1 << 20, 64, 64, 16], filter: [3, 3, 16, 32], padding: 1)
    let cache = try cache()
    try backend(cache).checkConvolutions(named: "huge") { backend in
      let (x, y) = (try backend.tensor(huge.input), try backend.tensor(huge.output))
      try backend.convolution(x, filter: backend.tensor(huge.filter), huge, into: y)
    }
    #expect(told.isEmpty && unknown.count == 1, "\(unknown)")
    #expect(cache.checkedPlans().isEmpty, "it may fit next time")
  }
}
