import CKernelParameters
import Compute

/// Winograd's convolution as a batch of matrix products.
struct BatchedWinogradPlan: ConvolutionPlan {
  typealias Algorithm = BatchedWinograd

  private let kernels: BatchedWinogradKernels
  private let filterTransform: KernelLaunch
  private let stores: EpilogueLaunches

  init(_ task: ConvolutionTask, _ tiling: BatchedWinogradTiling) {
    kernels = BatchedWinogradKernels(task, tiling)
    filterTransform = tiling.transform("load_filters", tiling.c, tiling.k, task)
    stores = EpilogueLaunches(task.epilogues()) { epilogue in
      tiling.transform("store_outputs", tiling.tiles, tiling.k, task, epilogue.defines, task.storage.storage)
    }
  }

  var problem: ConvolutionProblem { kernels.problem }
  private var tiling: BatchedWinogradTiling { kernels.tiling }

  /// The transformed inputs and the products.
  var workspaces: [Int] { tiling.transformedBytes }
  var preparedCount: Int { tiling.filterCount }

  func needsPreparation(_ form: FilterForm) -> Bool { form != .prepared }

  /// Transforms the filter [3,3,C,K] into [positions,C,K].
  func prepare(_ filter: Tensor, into prepared: Tensor, on backend: OpenCLBackend) throws {
    try backend.launch(
      filterTransform, [.buffer(filter.buffer), .buffer(prepared.buffer), .structure(try tiling.parameters(problem))])
  }

  func enqueue(_ x: Tensor, prepared: Tensor, _ epilogue: Epilogue, on backend: OpenCLBackend) throws {
    let inputs = try kernels.loadInputs(x, on: backend)
    let products = try backend.tensor([tiling.positions, tiling.tiles, tiling.k])
    try kernels.multiply(inputs, prepared, into: products, on: backend)
    try backend.launch(
      stores[epilogue], moving: products.byteCount + epilogue.bytes,
      [.buffer(products.buffer)] + epilogue.arguments + [.structure(try tiling.parameters(problem))])
  }
}

/// Winograd's filter gradient as a batch of matrix products.
struct BatchedWinogradFilterGradientPlan: FilterGradientPlan {
  typealias Algorithm = BatchedWinograd

  private let kernels: BatchedWinogradKernels
  /// Launches that load the output gradients, and that transform the sums.
  private let loading, storing: KernelLaunch

  init(_ task: ConvolutionTask, _ tiling: BatchedWinogradTiling) {
    kernels = BatchedWinogradKernels(task, tiling)
    loading = tiling.transform("load_gradients", tiling.tiles, tiling.k, task, task.storage.storage)
    storing = tiling.transform("store_filter_gradients", tiling.c, tiling.k, task)
  }

  private var tiling: BatchedWinogradTiling { kernels.tiling }

  /// The sums, the transformed inputs and the transformed output gradients.
  var workspaces: [Int] { [tiling.sumCount * 4] + tiling.transformedBytes }

  func enqueue(_ x: Tensor, _ dy: Tensor, into dw: Tensor, on backend: OpenCLBackend) throws {
    let shape = Argument.structure(try tiling.parameters(kernels.problem))
    let sums = try backend.tensor([tiling.product.splits, tiling.positions, tiling.c, tiling.k])
    let inputs = try kernels.loadInputs(x, on: backend)
    let gradients = try backend.tensor([tiling.positions, tiling.tiles, tiling.k])
    try backend.launch(loading, [.buffer(dy.buffer), .buffer(gradients.buffer), shape])
    try kernels.multiply(inputs, gradients, into: sums, on: backend)
    try backend.launch(storing, [.buffer(sums.buffer), .buffer(dw.buffer), shape, .int(tiling.product.splits)])
  }
}

/// The kernels that a convolution and its filter gradient share.
private struct BatchedWinogradKernels: Hashable {
  let problem: ConvolutionProblem
  let tiling: BatchedWinogradTiling
  private let loading, product: KernelLaunch

  init(_ task: ConvolutionTask, _ tiling: BatchedWinogradTiling) {
    (problem, self.tiling) = (task.problem, tiling)
    loading = tiling.transform("load_inputs", tiling.tiles, tiling.c, task, task.storage.storage)
    product = Self.launch(tiling.product, points: tiling.positions)
  }

  /// Returns the transformed inputs of all tiles, [positions,tiles,C].
  func loadInputs(_ x: Tensor, on backend: OpenCLBackend) throws -> Tensor {
    let inputs = try backend.tensor([tiling.positions, tiling.tiles, tiling.c])
    try backend.launch(
      loading, [.buffer(x.buffer), .buffer(inputs.buffer), .structure(try tiling.parameters(problem))])
    return inputs
  }

  /// Multiplies at all positions: inputs [positions,tiles,C] by a transformed filter or by transformed output gradients.
  func multiply(_ inputs: Tensor, _ factors: Tensor, into sums: Tensor, on backend: OpenCLBackend) throws {
    let launch = try backend.fitting(tiling.product, product) { Self.launch($0, points: tiling.positions) }
    let shape = try batched_product_t(
      pixels: int32(tiling.tiles), c: int32(tiling.c), k: int32(tiling.k), part: int32(tiling.product.part))
    try backend.launch(
      launch, [.buffer(inputs.buffer), .buffer(factors.buffer), .buffer(sums.buffer), .structure(shape)])
  }

  private static func launch(_ product: GEMMTiling, points: Int) -> KernelLaunch {
    KernelLaunch(
      KernelSpecialization("batched_product.cl", "batched_product", product.defines),
      global: [product.workGroups * product.tile.items, product.splits, points], local: [product.tile.items, 1, 1])
  }
}

extension BatchedWinogradTiling {
  /// Returns the launch of a transform with one work-item for each vector of a matrix at one position. Transforms take up to 180
  /// registers per work-item.
  fileprivate func transform(
    _ name: String, _ rows: Int, _ columns: Int, _ task: ConvolutionTask, _ more: KeyValuePairs<String, Int>...
  ) -> KernelLaunch {
    var kernel = KernelSpecialization("winograd_batched.cl", name, defines)
    for constants in more { kernel.add(constants) }
    return KernelLaunch(kernel, on: task.traits.grid(items: rows * columns / width, inGroupsOf: 64))
  }
}
