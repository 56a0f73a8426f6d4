import CPUBackend
import Compute
import Conformance
import Foundation
import OpenCLBackend
import TestSupport
import Testing

/// Tests the list of kernels that work needs: without a device, during builds, and with replacements for kernels that do
/// not build.
@Suite struct KernelListTests {
  private static let geometry = Conv2D(input: [2, 9, 7, 16], filter: [3, 3, 16, 32], padding: 1)

  @Test(arguments: DescribedGPU.allCases) func gpusGetKernelsOfTheirClass(_ gpu: DescribedGPU) throws {
    let builds = try OpenCLBackend.kernels(on: gpu.traits) { backend in
      for work in ConvolutionRun.works(Self.geometry) { _ = try ConvolutionRun.results(of: work, on: backend) }
    }
    #expect(Set(builds).count == builds.count)
    #expect(builds.contains { $0.file == "convolution_tiled.cl" && $0.options.contains("-DACCUMULATE=1") })
    #expect(builds.contains { $0.options.contains("-DRESIDUAL=1") })
    // These are kernels for CPUs, whose work-items do not cooperate.
    #expect(!builds.contains { $0.kernel == "pack_filter" || $0.kernel == "convolution" || $0.kernel == "filter_gradient" })
  }

  @Test func matrixInstructionsAreForFastMathematicsOnNVIDIA() throws {
    func usesThem(_ gpu: DescribedGPU, _ math: MathMode) throws -> Bool {
      var traits = gpu.traits
      traits.math = math
      return try OpenCLBackend.kernels(on: traits) { backend in
        _ = try ConvolutionRun.results(of: ConvolutionWork(.forward, Self.geometry), on: backend)
      }.contains { $0.options.contains("-DMATRIX=1") }
    }
    #expect(try usesThem(.sm90, .fast))
    #expect(try !usesThem(.sm90, .exact))
    #expect(try !usesThem(.gfx1100, .fast))
  }

  /// Tests both classes of kernels, on any device.
  @Test(arguments: KernelClass.allCases) func listIsWhatIsBuilt(_ kernels: KernelClass) throws {
    let device = try DeviceList.find("opencl").device
    let backend = try OpenCLBackend(device: device, traits: DeviceTraits(device, kernelClass: kernels))
    func run(on backend: OpenCLBackend) throws {
      for work in ConvolutionRun.works(Self.geometry) { _ = try ConvolutionRun.results(of: work, on: backend) }
    }
    let listed = try backend.kernels(of: run)
    var built: [KernelBuild] = []
    backend.watchBuilds { built.append($0) }
    try run(on: backend)
    #expect(listed == built)
  }

  /// Builds some kernels, and nothing else.
  @Test func partOfTheKernelsIsBuiltAhead() throws {
    let backend = try OpenCLBackend(device: DeviceList.find("opencl").device)
    func run(on backend: OpenCLBackend) throws {
      _ = try ConvolutionRun.results(of: ConvolutionWork(.forward, Self.geometry), on: backend)
    }
    let wanted = try Set(backend.kernels(of: run).suffix(1))
    var built: [KernelBuild] = []
    try backend.build(wanted, of: run) { built.append($0) }
    #expect(Set(built) == wanted && built.count == 1)
  }

  /// Copies the kernels of `Kernels/OpenCL`, one of which does not build if `condition` holds.
  private func withBrokenKernels<Result>(
    _ file: String, where condition: String, _ body: (String) throws -> Result
  ) throws -> Result {
    try withTemporaryFolder { folder in
      try copyKernels(to: "\(folder)/kernels", altering: file) { "\($0)\n#if \(condition)\n#error refused by a test\n#endif\n" }
      return try body("\(folder)/kernels")
    }
  }

  /// Simulates NVIDIA's compiler, which once refused every kernel that adds to its result.
  @Test(arguments: [
    (KernelClass.localTiled, "convolution_tiled.cl", "ACCUMULATE || RESIDUAL", "plain"),
    (.localTiled, "winograd_batched.cl", "1", "tiled"), (.registerTiled, "winograd.cl", "1", "direct"),
  ])
  func refusedKernelsAreReplaced(
    _ kernels: KernelClass, file: String, condition: String, instead: String
  ) throws {
    try withBrokenKernels(file, where: condition) { folder in
      let device = try DeviceList.find("opencl").device
      let backend = try OpenCLBackend(
        device: device, traits: DeviceTraits(device, kernelClass: kernels), kernels: folder)
      var told: [ConvolutionFallback] = []
      backend.onFallback = { told.append($0) }
      let works =
        file == "convolution_tiled.cl"
        ? [ConvolutionWork(.inputGradient, Self.geometry, accumulates: true), ConvolutionWork(.inference, Self.geometry)]
        : [ConvolutionWork(.inputGradient, Self.geometry)]
      for work in works {
        if file == "winograd_batched.cl" { backend.choose(try .named("batched"), for: work) }
        if file == "winograd.cl" { backend.choose(try .named("winograd"), for: work) }
        let expected = try ConvolutionRun.results(of: work, on: CPUBackend())
        // The second run reports no fallback again.
        for _ in 0..<2 {
          for (result, expected) in zip(try ConvolutionRun.results(of: work, on: backend), expected) {
            #expect(Comparison("\(work)", result, against: expected, .convolution(work, winograd: true)).complaint == nil)
          }
        }
      }
      #expect(told.map(\.work) == works && backend.fallbacks.count == works.count)
      for fallback in told {
        #expect(fallback.fault == .refused(file: file) && fallback.choice.algorithmName == instead, "\(fallback)")
        #expect(fallback.log.contains("refused by a test"))
      }
    }
  }

  @Test func refusedMatrixInstructionsAreNotUsed() throws {
    try withBrokenKernels("convolution_tiled.cl", where: "MATRIX && !MATRIX_EMULATED") { folder in
      let device = try DeviceList.find("opencl").device
      var traits = try DeviceTraits(device, kernelClass: .localTiled)
      (traits.math, traits.matrixInstructions, traits.multipliesPairs) = (.fast, .ptx, false)
      let backend = try OpenCLBackend(device: device, traits: traits, kernels: folder)
      #expect(backend.factorType(storing: .float32) == .float32)
      let work = ConvolutionWork(.forward, Self.geometry)
      let expected = try ConvolutionRun.results(of: work, on: CPUBackend())
      for (result, expected) in zip(try ConvolutionRun.results(of: work, on: backend), expected) {
        #expect(Comparison("\(work)", result, against: expected, .convolution(work, winograd: true)).complaint == nil)
      }
      #expect(backend.fallbacks.isEmpty)
    }
  }

  /// Checks that the first refusal is the error if no other kernel can do the work.
  @Test func kernelsWithoutReplacementAreAnError() throws {
    try withBrokenKernels("convolution.cl", where: "1") { folder in
      let device = try DeviceList.find("opencl").device
      let backend = try OpenCLBackend(
        device: device, traits: DeviceTraits(device, kernelClass: .registerTiled), kernels: folder)
      backend.choose(try .named("direct"), for: ConvolutionWork(.forward, Self.geometry))
      let error = #expect(throws: (any Error).self) {
        try ConvolutionRun.results(of: ConvolutionWork(.forward, Self.geometry), on: backend)
      }
      #expect("\(error.map { "\($0)" } ?? "")".contains("convolution.cl does not build"))
      #expect(backend.fallbacks.isEmpty)
    }
  }
}
