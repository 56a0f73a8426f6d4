import Compute
import OpenCLBackend
import Testing

/// Checks that small convolutions share kernels that do not know their shape, so that many shapes need few kernels, and
/// that large convolutions have their own kernels.
@Suite struct SharedKernelTests {
  /// Returns the kernels with this prefix that a pass of each convolution runs, as profiles name them.
  private func kernels(_ prefix: String, _ pass: ConvolutionPass, _ geometries: [Conv2D]) throws -> [Set<String>] {
    let device = try DeviceList.find("opencl").device
    var traits = try DeviceTraits(device)
    (traits.kernelClass, traits.vectorWidth, traits.accumulators) = (.registerTiled, 8, 12)
    let backend = try OpenCLBackend(device: device, profiling: true, traits: traits)
    return try geometries.map {
      backend.startProfile()
      _ = try ConvolutionRun.results(of: ConvolutionWork(pass, $0), on: backend)
      return Set(try backend.endProfile().kernels.map(\.kernel).filter { $0.hasPrefix(prefix) })
    }
  }

  /// The shapes differ in sizes, windows, strides, borders, channels and groups.
  @Test(arguments: [("convolution ", ConvolutionPass.forward), ("filter_gradient ", .filterGradient)])
  func directKernelsServeManyShapes(_ prefix: String, _ pass: ConvolutionPass) throws {
    let geometries = [
      Conv2D(input: [2, 9, 9, 4], filter: [3, 3, 4, 24], padding: 1),
      Conv2D(input: [1, 13, 21, 4], filter: [5, 5, 4, 24], stride: 2),
      Conv2D(input: [1, 16, 18, 4], filter: [1, 1, 4, 40], stride: 2),
      Conv2D(input: [3, 8, 9, 12], filter: [3, 3, 4, 24], padding: 1, groups: 3),
    ]
    let kernels = try kernels(prefix, pass, geometries)
    #expect(Set(kernels).count == 1 && kernels[0].count == 1, "\(kernels)")
  }

  @Test(arguments: [ConvolutionPass.forward, .filterGradient])
  func winogradsKernelsServeManyShapes(_ pass: ConvolutionPass) throws {
    let geometries = [
      Conv2D(input: [2, 5, 6, 32], filter: [3, 3, 32, 32], padding: 1),
      Conv2D(input: [1, 7, 4, 48], filter: [3, 3, 48, 64], padding: 1),
    ]
    let kernels = try kernels("winograd", pass, geometries)
    #expect(Set(kernels).count == 1 && kernels[0].count == 2, "\(kernels)")
  }

  @Test func largeConvolutionsHaveKernelsOfTheirOwn() throws {
    let direct = Conv2D(input: [4, 32, 32, 16], filter: [3, 3, 16, 16], stride: 2, padding: 1)
    let winograd = Conv2D(input: [2, 16, 16, 32], filter: [3, 3, 32, 32], padding: 1)
    let kernels = try kernels("", .forward, [direct, winograd])
    #expect(kernels[0].contains { $0.contains(" PITCH=16 ROW=") }, "\(kernels[0])")
    #expect(kernels[1].contains { $0.contains(" C=32 K=32 ") }, "\(kernels[1])")
  }
}
