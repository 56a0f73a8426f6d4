import Compute
import Support

/// Convolution as an implicit matrix product.
struct ImplicitGEMMPlan: ConvolutionPlan {
  typealias Algorithm = ImplicitGEMM

  private let product: ImplicitProduct

  init?(_ task: ConvolutionTask, _ chosen: ImplicitGEMM) {
    guard let product = ImplicitProduct(task, isTransposed: false, chosen) else { return nil }
    self.product = product
  }

  var problem: ConvolutionProblem { product.problem }
  var workspaces: [Int] { product.workspaces }

  func enqueue(_ x: Tensor, prepared: Tensor, _ epilogue: Epilogue, on backend: OpenCLBackend) throws {
    try product.enqueue(x, prepared, epilogue, on: backend)
  }
}

/// Filter gradient as an implicit matrix product.
struct ImplicitGEMMFilterGradientPlan: FilterGradientPlan {
  typealias Algorithm = ImplicitGEMM

  private let product: ImplicitProduct

  init?(_ task: ConvolutionTask, _ chosen: ImplicitGEMM) {
    guard let product = ImplicitProduct(task, isTransposed: true, chosen) else { return nil }
    self.product = product
  }

  var workspaces: [Int] { product.workspaces }

  func enqueue(_ x: Tensor, _ dy: Tensor, into dw: Tensor, on backend: OpenCLBackend) throws {
    try product.enqueue(x, dy, Epilogue(into: dw), on: backend)
  }
}

/// The product by `convolution_tiled.cl` that computes a convolution or a filter gradient.
private struct ImplicitProduct: Hashable {
  let problem: ConvolutionProblem
  private let storage: DataType
  private let tiling: GEMMTiling
  /// Launches of the product, and of the sum of its splits.
  private let products, sums: EpilogueLaunches

  init?(_ task: ConvolutionTask, isTransposed: Bool, _ chosen: ImplicitGEMM) {
    let (problem, storage) = (task.problem, task.storage)
    guard let tiling = GEMMTiling(problem, isTransposed: isTransposed, storage, task.traits, chosen) else { return nil }
    (self.problem, self.storage, self.tiling) = (problem, storage, tiling)
    products = EpilogueLaunches(task.epilogues()) { Self.launch(tiling, problem, $0, storage) }
    sums = EpilogueLaunches(task.epilogues()) { epilogue in
      KernelLaunch(
        KernelSpecialization(
          "convolution_tiled.cl", "add_partials", ["VW": tiling.width, "ALIGNED": 1, "DENSE": tiling.isDense ? 1 : 0],
          epilogue.defines, isTransposed ? [:] : storage.storage),
        global: [tiling.rows * tiling.allColumns / tiling.width])
    }
  }

  private static func launch(
    _ tiling: GEMMTiling, _ problem: ConvolutionProblem, _ epilogue: Epilogue.Kind, _ storage: DataType
  ) -> KernelLaunch {
    // Sums for a filter gradient are stored as float32, whatever the type of x; so are partial sums.
    let isSplit = tiling.isTransposed || tiling.splits > 1
    let kernel = KernelSpecialization(
      "convolution_tiled.cl", "convolution_tiled", tiling.defines, ["STRIDE": problem.stride, "SPLIT": isSplit ? 1 : 0],
      groups(problem.groups), isSplit ? [:] : epilogue.defines, storage.storage)
    return KernelLaunch(kernel, global: [tiling.workGroups * tiling.tile.items, tiling.splits], local: [tiling.tile.items, 1])
  }

  var workspaces: [Int] { tiling.workspaces }

  /// - Parameter b: the filter [R,S,C,K], or dy.
  func enqueue(_ x: Tensor, _ b: Tensor, _ epilogue: Epilogue, on backend: OpenCLBackend) throws {
    let isSplit = tiling.splits > 1
    let partial = isSplit ? try backend.tensor([tiling.splits, tiling.rows, tiling.allColumns]) : epilogue.y
    let result = tiling.isTransposed ? epilogue.y.byteCount : problem.written(storage) * (epilogue.accumulate ? 2 : 1)
    let shape = try problem.parameters
    let launch = try backend.fitting(tiling, products[epilogue]) { Self.launch($0, problem, epilogue.kind, storage) }
    try backend.launch(
      launch, moving: x.byteCount + b.byteCount + (isSplit ? partial.byteCount : result + epilogue.otherBytes),
      [.buffer(x.buffer), .buffer(b.buffer)] + epilogue.arguments + [
        .buffer(partial.buffer), .structure(shape), .int(tiling.part),
      ])
    guard isSplit else { return }
    try backend.launch(
      sums[epilogue], moving: partial.byteCount + result + epilogue.otherBytes,
      [.buffer(partial.buffer)] + epilogue.arguments + [
        .structure(shape), .int(tiling.rows * tiling.allColumns), .int(tiling.splits),
      ])
  }
}

extension OpenCLBackend {
  /// Returns the launch of a product, or one with smaller tiles if the registers of its kernel allow fewer work-items than the
  /// device does.
  /// - Parameter launch: returns the launch with other tiles.
  /// - Throws: ``Failure`` if no tile is small enough.
  func fitting(_ tiling: GEMMTiling, _ planned: KernelLaunch, _ launch: (GEMMTiling) -> KernelLaunch) throws -> KernelLaunch {
    var (tiling, fitted) = (tiling, planned)
    while case let limit = try maxWorkGroupSize(of: fitted.kernel), limit < tiling.tile.items {
      guard let smaller = tiling.withGroups(of: limit, traits) else {
        let kernel = fitted.kernel.kernel
        throw Failure(.device, "\(name) runs \(kernel) in work-groups of \(limit) at most, too few for any of its tiles")
      }
      (tiling, fitted) = (smaller, launch(smaller))
    }
    return fitted
  }
}
