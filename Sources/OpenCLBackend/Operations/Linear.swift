import Compute
import Kernels
import OpenCL

typealias Argument = OpenCL.Kernel.Argument

extension OpenCLBackend {
  public func multiply(_ a: Tensor, transposed ta: Bool, _ b: Tensor, transposed tb: Bool, into c: Tensor) throws {
    check(.multiply(a, transposed: ta, b, transposed: tb, into: c))
    let product = MatrixProduct(a.shape, transposed: ta, b.shape, transposed: tb)
    guard let work = tapConvolution(product) else { return try multiplyByCLBlast(a, b, product, into: c) }
    let g = work.geometry
    try exactly {
      switch work.pass {
      case .forward, .forwardWithStatistics, .inference:
        try convolution(a.reshaped(g.input), filter: b.reshaped(g.filter), g, into: c.reshaped(g.output))
      case .inputGradient:
        try convolutionInputGradient(
          a.reshaped(g.output), filter: b.reshaped(g.filter), g, accumulate: false, into: c.reshaped(g.input))
      case .filterGradient:
        try convolutionFilterGradient(a.reshaped(g.input), b.reshaped(g.output), g, into: c.reshaped(g.filter))
      }
    }
  }

  public func addBias(_ bias: Tensor, to y: Tensor) throws {
    check(.addBias(bias, to: y))
    let columns = bias.count
    let width = traits.vectorWidth(dividing: columns)
    try launch(
      KernelSpecialization(.elementwise, "add_bias", ["VW": width]), global: [columns / width, y.count / columns],
      [.buffer(bias.buffer), .buffer(y.buffer), .int(columns)])
  }

  public func sumRows(_ x: Tensor, into sum: Tensor) throws {
    check(.sumRows(x, into: sum))
    let columns = sum.count
    let width = traits.vectorWidth(dividing: columns)
    let group = traits.group(columns: columns / width, of: width, rows: x.count / columns)
    try launch(
      KernelSpecialization(.elementwise, "sum_rows", ["VW": width]), on: group.grid(columns: columns / width),
      [.buffer(x.buffer), .buffer(sum.buffer), .int(x.count / columns), .int(columns)])
  }
}
