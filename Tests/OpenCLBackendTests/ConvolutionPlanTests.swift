import Compute
import DryRun
import OpenCL
import OpenCLBackend
import Testing

/// Tests that a plan is made once, and that it serves launches and dry runs alike.
@Suite struct ConvolutionPlanTests {
  private static let geometry = Conv2D(input: [2, 9, 7, 16], filter: [3, 3, 16, 32], padding: 1)

  private func backend(_ kernels: KernelClass? = nil) throws -> OpenCLBackend {
    let device = try DeviceList.find("opencl").device
    return try OpenCLBackend(device: device, traits: DeviceTraits(device, kernelClass: kernels))
  }

  @Test(arguments: KernelClass.allCases) func planIsMadeOncePerValue(_ kernels: KernelClass) throws {
    let backend = try backend(kernels)
    let works = ConvolutionRun.works(Self.geometry)
    for _ in 0..<3 {
      for work in works {
        _ = try ConvolutionRun.results(of: work, on: backend)
        _ = try ConvolutionRun.results(of: work, on: DryRunBackend(modeling: backend))
      }
    }
    #expect(backend.planCount == works.count)

    // Another choice is another value, and the first plan is still there afterwards.
    for choice in [try ConvolutionChoice.named("plain"), nil, try .named("plain")] {
      backend.choose(choice, for: works[0])
      _ = try ConvolutionRun.results(of: works[0], on: backend)
    }
    #expect(backend.planCount == works.count + 1)
  }

  @Test func choiceReplacesThePlanInUse() throws {
    let device = try DeviceList.find("opencl").device
    let backend = try OpenCLBackend(device: device, profiling: true, traits: DeviceTraits(device))
    let work = ConvolutionWork(.forwardWithStatistics, Self.geometry)
    func runsPlainKernel(_ choice: ConvolutionChoice?) throws -> Bool {
      backend.choose(choice, for: work.withoutStatistics)
      backend.startProfile()
      _ = try ConvolutionRun.results(of: work, on: backend)
      return try backend.endProfile().kernels.contains { $0.kernel.hasPrefix("convolution_plain ") }
    }
    #expect(try !runsPlainKernel(nil))
    #expect(try runsPlainKernel(.named("plain")))
    #expect(try !runsPlainKernel(nil))
  }

  @Test(arguments: KernelClass.allCases, ConvolutionChoice.algorithmNames)
  func dryRunBorrowsWhatTheLaunchBorrows(_ kernels: KernelClass, _ algorithm: String) throws {
    for work in ConvolutionRun.works(Self.geometry) {
      let backend = try backend(kernels)
      backend.choose(try .named(algorithm), for: work.withoutStatistics)
      _ = try ConvolutionRun.results(of: work, on: backend)
      let dry = DryRunBackend(modeling: backend)
      _ = try ConvolutionRun.results(of: work, on: dry)
      #expect(dry.memory == backend.memory, "\(work)")
      #expect(backend.planCount == 1, "\(work)")
    }
  }

  /// Checks all candidates of both classes of kernels.
  @Test(arguments: [DescribedGPU.sm90, nil]) func candidatesComeBackFromTheTable(_ gpu: DescribedGPU?) throws {
    let works = ConvolutionRun.works(Self.geometry)
    func candidates(_ backend: OpenCLBackend) -> [[ConvolutionChoice]] { works.map(backend.candidates) }
    var all: [[ConvolutionChoice]] = []
    if let gpu {
      _ = OpenCLBackend.kernels(on: gpu.traits) { all = candidates($0) }
    } else {
      all = candidates(try backend(.registerTiled))
    }
    for (work, candidates) in zip(works, all) {
      #expect(candidates.count > 5, "\(work)")
      for candidate in candidates {
        var table = TuningTable()
        table[work] = TuningTable.Entry(choice: candidate, builtInSeconds: 2, seconds: 1, isComplete: true)
        #expect(try TuningTable(table.json) == table, "\(candidate)")
      }
    }
  }

  /// Checks texts as tables contain them.
  @Test func sizesKeepTheirNamesInTables() throws {
    for text in [
      "direct", "direct TC=2 TQ=14", "direct TC=1 TP=2 TQ=7", "direct TC=2 TI=8", "direct SPLITS=16", "winograd STAGED=0",
      "winograd STAGED=1", "winograd TC=2 TR=12", "winograd TC=4 TI=4", "winograd TB=48", "winograd M=2", "batched M=2",
      "batched BM=128 BN=64 TM=8 TN=8", "batched SPLITS=4", "tiled BM=32 BN=32 TM=4 TN=4", "tiled BK=16", "tiled SPLITS=128",
      "product", "plain",
    ] {
      #expect(ConvolutionChoice(text)?.description == text)
    }
  }
}
