import CPUBackend
import Compute
import Conformance
import OpenCLBackend
import Testing

/// The convolutions of `convolution_tiled.cl`, and what surrounds matrix instructions, on whatever device there is.
@Suite struct TiledConvolutionTests {
  /// With vectors and without, one tap and many, strides, borders, and sizes that no tile divides.
  static let geometries = [
    Conv2D(input: [1, 17, 15, 3], filter: [7, 7, 3, 8], stride: 2, padding: 3),
    Conv2D(input: [2, 9, 7, 16], filter: [3, 3, 16, 24], padding: 1),
    Conv2D(input: [3, 8, 9, 20], filter: [3, 3, 20, 12], stride: 2, padding: 1),
    Conv2D(input: [2, 7, 5, 48], filter: [1, 1, 48, 36]), Conv2D(input: [2, 9, 9, 8], filter: [1, 1, 8, 16], stride: 2),
    Conv2D(input: [2, 5, 17, 5], filter: [3, 5, 5, 10], padding: 2), Conv2D(input: [3, 7, 7, 10], filter: [7, 7, 10, 17]),
  ]

  /// Of each size the smallest and a larger one; without parts and with more than the depth of a small filter has slices.
  static let tiles: [[String: Int]] = [
    ["BM": 32, "BN": 32, "BK": 8, "TM": 4, "TN": 4, "SPLITS": 1], ["BM": 64, "BN": 16, "BK": 16, "TM": 8, "TN": 4, "SPLITS": 3],
    ["BM": 32, "BN": 64, "BK": 32, "TM": 4, "TN": 8, "SPLITS": 2],
  ]

  private func traits() throws -> DeviceTraits { try DeviceTraits(DeviceList.find("opencl").device) }

  private func backend(_ traits: DeviceTraits) throws -> OpenCLBackend {
    try OpenCLBackend(device: DeviceList.find("opencl").device, profiling: true, traits: traits)
  }

  /// Runs a work by a choice, expects the reference's results, and that what a dry run foresees is what was borrowed.
  /// - Returns: the tiled kernels that ran, as profiles name them.
  private func kernels(
    _ work: ConvolutionWork, _ choice: ConvolutionChoice, on backend: OpenCLBackend, roundingFactorsBy roundoff: Double = 0
  ) throws -> [String] {
    backend.choose(choice, for: work.withoutStatistics)
    backend.startProfile()
    let results = try ConvolutionRun.results(of: work, on: backend)
    let kernels = try backend.endProfile().kernels.map(\.kernel).filter { $0.hasPrefix("convolution_tiled ") }
    let expected = try ConvolutionRun.results(of: work, on: CPUBackend(), asReference: true)
    let exact = Bound.convolution(work, winograd: false)
    // Each term errs by at most two roundoffs of its own size, with random sign: so does a sum of terms of random sign.
    let bound = Bound(value: exact.value + 2 * roundoff, reason: "\(exact.reason), and factors rounded by \(roundoff)")
    for (index, (result, expected)) in zip(results, expected).enumerated() {
      let complaint = Comparison("result \(index)", result, against: expected, bound).complaint
      #expect(complaint == nil, "\(work), \(choice): \(complaint ?? "")")
    }
    let dry = DryRunBackend(modelling: backend)
    _ = try ConvolutionRun.results(of: work, on: dry)
    #expect(dry.memory == backend.memory, "\(work), \(choice)")
    return kernels
  }

  @Test(arguments: Array(geometries.enumerated())) func tilesAgreeWithTheReference(_ index: Int, _ g: Conv2D) throws {
    for numbers in [Self.tiles[index % 3], Self.tiles[(index + 1) % 3]] {
      for work in ConvolutionRun.works(g) {
        let kernels = try kernels(work, ConvolutionChoice(.tiled, numbers), on: backend(traits()))
        let names = ["BM", "BN", "BK", "TM", "TN"].map { " \($0)=\(numbers[$0] ?? 0) " }
        #expect(!kernels.isEmpty && kernels.allSatisfy { kernel in names.allSatisfy(kernel.contains) }, "\(kernels)")
      }
    }
  }

  @Test(arguments: [DataType.float16, .bfloat16]) func activationsOfSixteenBitsAgreeToo(_ storage: DataType) throws {
    for (index, g) in Self.geometries.enumerated() where index % 2 == 0 {
      for work in ConvolutionRun.works(g, storage) where work.pass != .forwardWithStatistics {
        _ = try kernels(work, ConvolutionChoice(.tiled, Self.tiles[index % 3]), on: backend(traits()))
      }
    }
  }

  /// The fragments of matrix instructions, on a device without them. tf32 has eleven bits, as float16; bfloat16 has eight.
  @Test(arguments: [(DataType.float32, 0x1p-11), (.float16, 0x1p-11), (.bfloat16, 0x1p-8)])
  func roundedFactorsAgreeWithinTheirRounding(_ storage: DataType, _ roundoff: Double) throws {
    var traits = try traits()
    (traits.math, traits.matrixInstructions) = (.fast, .emulated)
    let tiles = [["BM": 32, "BN": 32, "TM": 4], ["BM": 64, "BN": 32, "TM": 8, "SPLITS": 2], ["BM": 64, "BN": 64, "TM": 4]]
    for (index, g) in Self.geometries.prefix(4).enumerated() {
      for work in ConvolutionRun.works(g, storage) where work.pass != .forwardWithStatistics && !work.accumulates {
        let numbers = tiles[index % 3].merging(["TN": 8]) { $1 }
        let kernels = try kernels(
          work, ConvolutionChoice(.tiled, numbers), on: backend(traits), roundingFactorsBy: roundoff)
        #expect(!kernels.isEmpty && kernels.allSatisfy { $0.contains(" MATRIX=1 MATRIX_EMULATED=1") }, "\(kernels)")
      }
    }
  }

  /// Matrix instructions round, and that only where the user has asked for it.
  @Test func exactMathRoundsNoFactors() throws {
    var traits = try traits()
    traits.matrixInstructions = .emulated
    let work = ConvolutionWork(.forward, Self.geometries[1])
    let kernels = try kernels(work, ConvolutionChoice(.tiled), on: backend(traits))
    #expect(kernels.count == 1 && !kernels[0].contains("MATRIX=1"), "\(kernels)")
  }

  @Test func devicesOfThisClassTakeTilesByThemselves() throws {
    var traits = try traits()
    traits.kernelClass = .localTiled
    for work in [0, 2, 3].flatMap({ ConvolutionRun.works(Self.geometries[$0]) }) {
      let backend = try backend(traits)
      backend.startProfile()
      _ = try ConvolutionRun.results(of: work, on: backend)
      let kernels = try backend.endProfile().kernels.map(\.kernel)
      #expect(kernels.contains { $0.hasPrefix("convolution_tiled ") }, "\(work): \(kernels)")
      #expect(!kernels.contains { $0.hasPrefix("pack_") }, "\(work): \(kernels)")
    }
  }

  /// Every fourth candidate of each pass.
  @Test func candidatesOfThisClassAgreeWithTheReference() throws {
    var traits = try traits()
    traits.kernelClass = .localTiled
    let works = ConvolutionRun.works(Self.geometries[2]).filter { $0.pass != .forwardWithStatistics }
    for (start, work) in works.enumerated() {
      let candidates = try backend(traits).candidates(for: work)
      #expect(candidates.count { $0.algorithm == .tiled } > 8 && Set(candidates).count == candidates.count)
      #expect(!candidates.contains { $0.algorithm == .direct || $0.algorithm == .winograd })
      for index in stride(from: start % 4, to: candidates.count, by: 4) where candidates[index].algorithm == .tiled {
        _ = try kernels(work, candidates[index], on: backend(traits))
      }
    }
  }

  @Test func smallWorkGroupsAndLocalMemoryMakeSmallTiles() throws {
    let work = ConvolutionWork(.filterGradient, Self.geometries[2])
    var small = try traits()
    small.largestGroup = 64
    #expect(try !kernels(work, ConvolutionChoice(.tiled), on: backend(small)).isEmpty)
    small.localMemory = 8 << 10
    #expect(try !kernels(work, ConvolutionChoice(.tiled), on: backend(small)).isEmpty)
    small.localMemory = 1 << 10
    #expect(try kernels(work, ConvolutionChoice(.tiled), on: backend(small)).isEmpty, "no tile fits")
    // What the driver grants a kernel is known only once it is built; the partial sums, planned before, stay as they are.
    var granted = try traits()
    granted.groupLimit = 64
    let choice = ConvolutionChoice(.tiled, ["BM": 64, "BN": 32, "TM": 4, "TN": 4, "SPLITS": 2])
    let kernels = try kernels(work, choice, on: backend(granted))
    #expect(kernels.count == 1 && !kernels[0].contains("BM=64"), "\(kernels)")
  }

  @Test func twoRunsGiveTheSameBits() throws {
    for work in ConvolutionRun.works(Self.geometries[2]) {
      let results = try (0..<2).map { _ in
        let backend = try backend(traits())
        backend.choose(ConvolutionChoice(.tiled, Self.tiles[1]), for: work.withoutStatistics)
        return try ConvolutionRun.results(of: work, on: backend).map(\.bytes)
      }
      #expect(results[0] == results[1], "\(work)")
    }
  }
}
