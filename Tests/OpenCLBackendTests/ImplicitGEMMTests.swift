import CPUBackend
import Compute
import Conformance
import DryRun
import OpenCLBackend
import Testing

/// Tests the convolutions of `convolution_tiled.cl`, and the code around matrix instructions, on any device.
@Suite struct ImplicitGEMMTests {
  /// Covers vectors and scalars, one tap and many, strides, borders, sizes that no tile divides, and groups of channels.
  static let geometries = [
    Conv2D(input: [1, 17, 15, 3], filter: [7, 7, 3, 8], stride: 2, padding: 3),
    Conv2D(input: [2, 9, 7, 16], filter: [3, 3, 16, 24], padding: 1),
    Conv2D(input: [3, 8, 9, 20], filter: [3, 3, 20, 12], stride: 2, padding: 1),
    Conv2D(input: [2, 7, 5, 48], filter: [1, 1, 48, 36]), Conv2D(input: [2, 9, 9, 8], filter: [1, 1, 8, 16], stride: 2),
    Conv2D(input: [2, 5, 17, 5], filter: [3, 5, 5, 10], padding: 2), Conv2D(input: [3, 7, 7, 10], filter: [7, 7, 10, 17]),
    Conv2D(input: [2, 9, 7, 24], filter: [3, 3, 4, 240], stride: 2, padding: 1, groups: 6),
    Conv2D(input: [3, 7, 8, 12], filter: [3, 3, 3, 20], padding: 1, groups: 4),
  ]

  /// The smallest and a larger value of each tile size, without parts and with more parts than the depth of a small filter
  /// has slices.
  static let tiles: [[String: Int]] = [
    ["BM": 32, "BN": 32, "BK": 8, "TM": 4, "TN": 4, "SPLITS": 1], ["BM": 64, "BN": 16, "BK": 16, "TM": 8, "TN": 4, "SPLITS": 3],
    ["BM": 32, "BN": 64, "BK": 32, "TM": 4, "TN": 8, "SPLITS": 2],
  ]

  private func traits() throws -> DeviceTraits { try DeviceTraits(DeviceList.find("opencl").device) }

  private func backend(_ traits: DeviceTraits) throws -> OpenCLBackend {
    try OpenCLBackend(device: DeviceList.find("opencl").device, profiling: true, traits: traits)
  }

  /// Runs a work with a choice and expects the results of the reference.
  /// - Returns: the tiled kernels that ran, as profiles name them.
  private func kernels(
    _ work: ConvolutionWork, _ choice: ConvolutionChoice, on backend: OpenCLBackend
  ) throws -> [String] {
    backend.choose(choice, for: work.withoutStatistics)
    backend.startProfile()
    let results = try ConvolutionRun.results(of: work, on: backend)
    let kernels = try backend.endProfile().kernels.map(\.kernel).filter { $0.hasPrefix("convolution_tiled ") }
    let expected = try ConvolutionRun.results(of: work, on: CPUBackend(), asReference: true)
    let bound = Bound.convolution(work, winograd: false).multiplying(backend.factorType(storing: work.storage))
    for (index, (result, expected)) in zip(results, expected).enumerated() {
      let complaint = Comparison("result \(index)", result, against: expected, bound).complaint
      #expect(complaint == nil, "\(work), \(choice): \(complaint ?? "")")
    }
    return kernels
  }

  @Test(arguments: Array(geometries.enumerated())) func tilesAgreeWithTheReference(_ index: Int, _ g: Conv2D) throws {
    let (numbers, backend) = (Self.tiles[index % 3], try backend(traits()))
    for work in ConvolutionRun.works(g) {
      let kernels = try kernels(work, .named("tiled", numbers), on: backend)
      let names = ["BM", "BN", "BK", "TM", "TN"].map { " \($0)=\(numbers[$0] ?? 0) " }
      #expect(!kernels.isEmpty && kernels.allSatisfy { kernel in names.allSatisfy(kernel.contains) }, "\(kernels)")
    }
  }

  @Test func whatIsBorrowedIsForeseen() throws {
    for work in ConvolutionRun.works(Self.geometries[2]) where work.pass != .inference {
      let backend = try backend(traits())
      backend.choose(try .named("tiled", Self.tiles[2]), for: work.withoutStatistics)
      _ = try ConvolutionRun.results(of: work, on: backend)
      let dry = DryRunBackend(modeling: backend)
      _ = try ConvolutionRun.results(of: work, on: dry)
      #expect(dry.memory == backend.memory, "\(work)")
    }
  }

  @Test(arguments: [DataType.float16, .bfloat16]) func activationsOfSixteenBitsAgreeToo(_ storage: DataType) throws {
    let backend = try backend(traits())
    for index in [0, 2] {
      for work in ConvolutionRun.works(Self.geometries[index], storage) where work.pass != .forwardWithStatistics {
        #expect(try !kernels(work, .named("tiled", Self.tiles[index]), on: backend).isEmpty)
      }
    }
  }

  /// Tests the fragments of matrix instructions, on a device without such instructions.
  @Test(arguments: [(DataType.float32, 0x1p-11), (.float16, 0x1p-11), (.bfloat16, 0x1p-8)])
  func roundedFactorsAgreeWithinTheirRounding(_ storage: DataType, _ roundoff: Double) throws {
    var traits = try traits()
    (traits.kernelClass, traits.math, traits.matrixInstructions) = (.localTiled, .fast, .emulated)
    traits.multipliesPairs = false
    let backend = try backend(traits)
    #expect(backend.factorType(storing: storage).roundoff == roundoff)
    let passes: [ConvolutionPass] = [.forward, .inputGradient, .filterGradient]
    let smallTile = ["BM": 32, "BN": 32, "TM": 4]
    for (index, numbers) in [(0, smallTile), (2, ["BM": 64, "BN": 64, "TM": 8, "SPLITS": 2]), (7, smallTile)] {
      for pass in passes {
        let work = ConvolutionWork(pass, Self.geometries[index], storage)
        let choice = try ConvolutionChoice.named("tiled", numbers.merging(["TN": 8]) { $1 })
        let kernels = try kernels(work, choice, on: backend)
        #expect(!kernels.isEmpty && kernels.allSatisfy { $0.contains(" MATRIX=1 MATRIX_EMULATED=1") }, "\(kernels)")
      }
    }
  }

  /// Checks that matrix instructions, which round, are used only if the user asks for fast mathematics.
  @Test func exactMathRoundsNoFactors() throws {
    var traits = try traits()
    traits.matrixInstructions = .emulated
    let work = ConvolutionWork(.forward, Self.geometries[1])
    let kernels = try kernels(work, .named("tiled"), on: backend(traits))
    #expect(kernels.count == 1 && !kernels[0].contains("MATRIX=1"), "\(kernels)")
  }

  @Test func devicesOfThisClassTakeTilesByThemselves() throws {
    var traits = try traits()
    traits.kernelClass = .localTiled
    let backend = try backend(traits)
    let works = [2, 7].flatMap { ConvolutionRun.works(Self.geometries[$0]) } + ConvolutionRun.works(Self.geometries[3]).prefix(1)
    for work in works {
      backend.startProfile()
      _ = try ConvolutionRun.results(of: work, on: backend)
      let kernels = try backend.endProfile().kernels.map(\.kernel)
      #expect(kernels.contains { $0.hasPrefix("convolution_tiled ") }, "\(work): \(kernels)")
      #expect(!kernels.contains { $0.hasPrefix("pack_") }, "\(work): \(kernels)")
    }
  }

  /// Tests a few candidates of each pass, different ones for each pass.
  @Test func candidatesOfThisClassAgreeWithTheReference() throws {
    var traits = try traits()
    traits.kernelClass = .localTiled
    let backend = try backend(traits)
    for (start, pass) in [ConvolutionPass.forward, .inputGradient, .filterGradient].enumerated() {
      let work = ConvolutionWork(pass, Self.geometries[2])
      let candidates = backend.candidates(for: work)
      #expect(candidates.count { $0.algorithmName == "tiled" } > 8 && Set(candidates).count == candidates.count)
      #expect(!candidates.contains { ["direct", "winograd"].contains($0.algorithmName) })
      for index in stride(from: start, to: candidates.count, by: 7) where candidates[index].algorithmName == "tiled" {
        #expect(try !kernels(work, candidates[index], on: backend).isEmpty)
      }
    }
  }

  @Test func smallWorkGroupsAndLocalMemoryMakeSmallTiles() throws {
    let work = ConvolutionWork(.filterGradient, Self.geometries[2])
    var small = try traits()
    small.largestGroup = 64
    #expect(try !kernels(work, .named("tiled"), on: backend(small)).isEmpty)
    small.localMemory = 12 << 10
    #expect(try !kernels(work, .named("tiled"), on: backend(small)).isEmpty)
    small.localMemory = 1 << 10
    #expect(try kernels(work, .named("tiled"), on: backend(small)).isEmpty, "no tile fits")
    // The work-group size that the driver allows is known only after the build. The partial sums, planned before, stay as
    // they are.
    var granted = try traits()
    granted.groupLimit = 64
    let choice = try ConvolutionChoice.named("tiled", ["BM": 64, "BN": 32, "TM": 4, "TN": 4, "SPLITS": 2])
    let kernels = try kernels(work, choice, on: backend(granted))
    #expect(kernels.count == 1 && !kernels[0].contains("BM=64"), "\(kernels)")
  }

  @Test func twoRunsGiveTheSameBits() throws {
    for work in ConvolutionRun.works(Self.geometries[2]) where work.pass == .forward || work.pass == .filterGradient {
      let results = try (0..<2).map { _ in
        let backend = try backend(traits())
        backend.choose(try .named("tiled", Self.tiles[2]), for: work.withoutStatistics)
        return try ConvolutionRun.results(of: work, on: backend).map(\.bytes)
      }
      #expect(results[0] == results[1], "\(work)")
    }
  }
}
