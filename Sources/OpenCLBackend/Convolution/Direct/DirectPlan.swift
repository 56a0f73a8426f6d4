import Compute

/// Direct convolution by `convolution.cl`.
struct DirectPlan: PanelPlan {
  typealias Algorithm = DirectConvolution

  let problem: ConvolutionProblem
  let packing: KernelLaunch
  private let storage: DataType
  private let tiling: DirectTiling
  private let launches: EpilogueLaunches

  init?(_ task: ConvolutionTask, _ chosen: DirectConvolution) {
    let (problem, storage) = (task.problem, task.storage)
    guard let tiling = DirectTiling(problem, task.traits, chosen) else { return nil }
    (self.problem, self.storage, self.tiling, packing) = (problem, storage, tiling, tiling.filter.packing)
    launches = EpilogueLaunches(task.epilogues(takingMoments: true)) { epilogue in
      KernelLaunch(
        KernelSpecialization(
          "convolution.cl", "convolution",
          ["VW": tiling.width, "TC": tiling.channelVectors, "TP": tiling.tileRows, "TQ": tiling.tileColumns],
          tiling.constants(problem), pairs(tiling.terms), epilogue.defines, storage.storage),
        groupsOfOne: [tiling.blocks, problem.n])
    }
  }

  var panels: PackedFilter { tiling.filter }
  var momentChunks: Int? { tiling.blocks * problem.n }

  func enqueue(_ x: Tensor, prepared: Tensor, _ epilogue: Epilogue, on backend: OpenCLBackend) throws {
    try backend.launch(
      launches[epilogue], moving: problem.moved(storage, epilogue),
      [.buffer(x.buffer), .buffer(prepared.buffer)] + epilogue.arguments
        + [
          epilogue.momentsArgument, .local(tiling.inputBytes), .structure(try problem.parameters),
          .structure(try tiling.parameters),
        ])
  }
}

extension ConvolutionProblem {
  /// Returns the bytes that a kernel of `convolution.cl` moves, including the operands of the epilogue.
  func moved(_ storage: DataType, _ epilogue: Epilogue) -> Int {
    traffic(storage) + (epilogue.accumulate ? written(storage) : 0) + epilogue.otherBytes
  }
}
