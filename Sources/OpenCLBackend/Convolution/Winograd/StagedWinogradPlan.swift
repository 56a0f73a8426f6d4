import Compute

/// Winograd's convolution in the kernels of `winograd_staged.cl`, which exchange data through buffers.
struct StagedWinogradPlan: ConvolutionPlan {
  typealias Algorithm = Winograd

  let problem: ConvolutionProblem
  private let tiling: WinogradTiling
  private let loading: WinogradInputLoading
  /// Launches that transform the whole filter, or a part of its channels.
  private let filterTransform, partTransform: KernelLaunch
  /// Launches that multiply by the whole filter, or by a part of its channels.
  private let product, partProduct: KernelLaunch
  private let stores: EpilogueLaunches

  init(_ task: ConvolutionTask, _ tiling: WinogradTiling) {
    let (problem, part) = (task.problem, tiling.channelsAtOnce)
    (self.problem, self.tiling) = (problem, tiling)
    loading = WinogradInputLoading(task, tiling)
    (filterTransform, partTransform) = (tiling.filterTransform(problem.k), tiling.filterTransform(part))
    func product(_ channels: Int) -> KernelLaunch {
      KernelLaunch(
        KernelSpecialization("winograd_staged.cl", "products", tiling.defines),
        global: [(tiling.slots + tiling.tilesAtOnce - 1) / tiling.tilesAtOnce, channels / tiling.panel, tiling.positions])
    }
    (self.product, partProduct) = (product(problem.k), product(part))
    stores = EpilogueLaunches(task.epilogues()) { epilogue in
      KernelLaunch(
        KernelSpecialization("winograd_staged.cl", "store_outputs", tiling.defines, epilogue.defines, task.storage.storage),
        global: [tiling.tiles])
    }
  }

  /// The transformed inputs and the products.
  var workspaces: [Int] { tiling.stagedBytes }
  var preparedCount: Int { tiling.preparedCount }
  var turnedFilter: TurnedFilter? { .panels(PackedFilter(problem, width: 1, panel: problem.k)) }

  func needsPreparation(_ form: FilterForm) -> Bool { form != .prepared }

  /// A filter that is not prepared is transformed in parts, one after the other in the same memory.
  func workspaces(for form: FilterForm) -> [Int] {
    (needsPreparation(form) ? [tiling.preparedCount(tiling.channelsAtOnce) * 4] : []) + workspaces
  }

  func prepare(_ filter: Tensor, into prepared: Tensor, on backend: OpenCLBackend) throws {
    try transform(filter, filterTransform, first: 0, into: prepared, on: backend)
  }

  func enqueue(_ x: Tensor, prepared: Tensor, _ epilogue: Epilogue, on backend: OpenCLBackend) throws {
    try multiply(x, epilogue, on: backend) { inputs, products in
      try multiply(inputs, prepared, product, first: 0, into: products, on: backend)
    }
  }

  func enqueue(_ x: Tensor, _ filter: Tensor, _ form: FilterForm, _ epilogue: Epilogue, on backend: OpenCLBackend) throws {
    guard needsPreparation(form) else { return try enqueue(x, prepared: filter, epilogue, on: backend) }
    let part = tiling.channelsAtOnce
    let transformed = try backend.tensor([tiling.preparedCount(part)])
    try multiply(x, epilogue, on: backend) { inputs, products in
      for first in stride(from: 0, to: problem.k, by: part) {
        try transform(filter, partTransform, first: first, into: transformed, on: backend)
        try multiply(inputs, transformed, partProduct, first: first, into: products, on: backend)
      }
    }
  }

  /// Loads the inputs, lets `body` multiply them, and stores the outputs.
  private func multiply(
    _ x: Tensor, _ epilogue: Epilogue, on backend: OpenCLBackend, _ body: (_ inputs: Tensor, _ products: Tensor) throws -> Void
  ) throws {
    let inputs = try loading.enqueue(x, on: backend)
    let products = try backend.tensor([tiling.slots, tiling.positions, problem.k])
    try body(inputs, products)
    try backend.launch(
      stores[epilogue], moving: products.byteCount + epilogue.bytes,
      [.buffer(products.buffer)] + epilogue.arguments + [.structure(try tiling.parameters(problem))])
  }

  private func transform(
    _ filter: Tensor, _ launch: KernelLaunch, first: Int, into transformed: Tensor, on backend: OpenCLBackend
  ) throws {
    try backend.launch(
      launch,
      [.buffer(filter.buffer), .buffer(transformed.buffer), .structure(try tiling.parameters(problem)), .int(first)])
  }

  private func multiply(
    _ inputs: Tensor, _ filter: Tensor, _ launch: KernelLaunch, first: Int, into products: Tensor, on backend: OpenCLBackend
  ) throws {
    try backend.launch(
      launch,
      [
        .buffer(inputs.buffer), .buffer(filter.buffer), .buffer(products.buffer), .structure(try tiling.parameters(problem)),
        .int(tiling.slots), .int(first),
      ])
  }
}

/// Winograd's filter gradient in the kernels of `winograd_staged.cl`.
struct StagedWinogradFilterGradientPlan: FilterGradientPlan {
  typealias Algorithm = Winograd

  private let problem: ConvolutionProblem
  private let tiling: WinogradTiling
  private let inputLoading: WinogradInputLoading
  /// Launches that load the output gradients, multiply a part of the channels, and transform the sums of these.
  private let gradientLoading, product, transform: KernelLaunch

  init(_ task: ConvolutionTask, _ tiling: WinogradTiling) {
    let part = tiling.channelsAtOnce
    (problem, self.tiling, transform) = (task.problem, tiling, tiling.gradientTransform(part))
    inputLoading = WinogradInputLoading(task, tiling)
    gradientLoading = KernelLaunch(
      KernelSpecialization("winograd_staged.cl", "load_gradients", tiling.defines, task.storage.storage), global: [tiling.slots])
    product = KernelLaunch(
      KernelSpecialization("winograd_staged.cl", "filter_gradient_products", tiling.defines),
      global: [part / tiling.panel, tiling.positions])
  }

  /// The sums, the transformed inputs and the transformed output gradients.
  var workspaces: [Int] { [tiling.sumCount * 4] + tiling.stagedBytes }

  func enqueue(_ x: Tensor, _ dy: Tensor, into dw: Tensor, on backend: OpenCLBackend) throws {
    let sums = try backend.tensor([tiling.sumCount])
    let inputs = try inputLoading.enqueue(x, on: backend)
    let gradients = try backend.tensor([tiling.positions, tiling.slots, tiling.gradientPitch])
    let shape = Argument.structure(try tiling.parameters(problem))
    try backend.launch(gradientLoading, [.buffer(dy.buffer), .buffer(gradients.buffer), shape])
    for first in stride(from: 0, to: problem.k, by: tiling.channelsAtOnce) {
      try backend.launch(
        product,
        [.buffer(inputs.buffer), .buffer(gradients.buffer), .buffer(sums.buffer), shape, .int(tiling.slots), .int(first)])
      try backend.launch(transform, [.buffer(sums.buffer), .buffer(dw.buffer), shape, .int(tiling.splits), .int(first)])
    }
  }
}

/// The stage that transforms the inputs of all tiles.
private struct WinogradInputLoading: Hashable {
  private let problem: ConvolutionProblem
  private let tiling: WinogradTiling
  private let launch: KernelLaunch

  init(_ task: ConvolutionTask, _ tiling: WinogradTiling) {
    (problem, self.tiling) = (task.problem, tiling)
    launch = KernelLaunch(
      KernelSpecialization("winograd_staged.cl", "load_inputs", tiling.defines, task.storage.storage), global: [tiling.slots])
  }

  /// Returns the transformed inputs, [positions, slots, pitch].
  func enqueue(_ x: Tensor, on backend: OpenCLBackend) throws -> Tensor {
    let inputs = try backend.tensor([tiling.positions, tiling.slots, tiling.inputPitch])
    try backend.launch(
      launch, [.buffer(x.buffer), .buffer(inputs.buffer), .structure(try tiling.parameters(problem))])
    return inputs
  }
}
