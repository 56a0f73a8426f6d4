import Compute
import OpenCL
import Support

/// Check of a plan on the device that it is for. The pass runs once on operands of its real size, and a few dozen elements of its
/// result are compared with direct sums in double precision.
struct ConvolutionCheck {
  enum Verdict {
    case right
    /// The result is wrong, or the kernels do not run.
    case wrong(String)
    /// The check was not possible.
    case unknown(String)
  }

  private let planned: PlannedWork
  private let plan: PassPlan
  /// Backend on the same device that computes the pass by this plan.
  private let backend: OpenCLBackend
  private let sums: DirectSums

  private var work: ConvolutionWork { planned.work }

  /// - Parameter backend: runs the pass by the plan that is checked.
  init(_ planned: PlannedWork, _ plan: PassPlan, on backend: OpenCLBackend) {
    (self.planned, self.plan, self.backend) = (planned, plan, backend)
    let work = planned.work
    let hasResidual = work.pass == .inference && backend.traits.kernelClass == .localTiled
    // Among few sums, one whose terms nearly cancel has much weight. It errs by far more than its size.
    let isPositive = work.shapes.result.count < 16
    let values = { (type: DataType, start: Int) in RepeatedValues(type, from: start, isPositive: isPositive) }
    sums = DirectSums(
      work: work, x: values(work.storage, 0), filter: values(.float32, 5437), y: values(work.storage, 10_867),
      scale: 1.25, bias: 0.5, residual: hasResidual ? values(work.storage, 13_001) : nil)
  }

  /// Bytes of the operands and workspaces.
  private var byteCount: Int {
    let g = work.geometry
    let activations = (g.input.count + g.output.count * (sums.residual == nil ? 1 : 2)) * work.storage.byteCount
    let prepared = work.pass == .inference ? (plan.convolution?.preparedCount ?? 0) + 2 * g.k : 0
    return activations + 4 * (g.filter.count + prepared)
      + backend.workspaceByteCounts(.convolution(work)).reduce(0, +)
  }

  /// Runs the pass and judges its result.
  /// - Throws: errors of the device that do not come from the kernels.
  func verdict() throws -> Verdict {
    let free = backend.memoryLimit - backend.memory.bytesHeld
    guard byteCount <= free else {
      return .unknown("it needs \(rounded(bytes: byteCount)), and \(rounded(bytes: max(0, free))) are free")
    }
    do { return try complaint().map(Verdict.wrong) ?? .right } catch let failure as Failure where failure.kind == .outOfMemory {
      return .unknown(failure.description)
    } catch let error as OpenCLError {
      let isLackOfMemory = ["CL_MEM_OBJECT_ALLOCATION_FAILURE", "CL_OUT_OF_HOST_MEMORY"].contains(error.name)
      return isLackOfMemory ? .unknown("\(error)") : .wrong("it does not run: \(error)")
    }
  }

  /// Returns a description of the error in the result; nil if it is correct.
  private func complaint() throws -> String? {
    let operands = try backend.operands(of: work)
    try fill(operands)
    let moments = try backend.enqueue(planned, on: operands)
    let result = operands.result(of: work.pass)
    // An element of a filter's gradient may have a million terms. Two million products take some milliseconds.
    let places = Self.places(in: result.shape, count: min(48, max(12, 2_000_000 / sums.terms)))
    let found = try places.map { try element($0, of: result) }
    let bound = Bound.convolution(work, winograd: plan.algorithms.contains { type(of: $0).transforms })
      .multiplying(backend.factorType(storing: work.storage))
    let comparison = Comparison(
      "sampled result", HostTensor(found, shape: [places.count]),
      against: HostTensor(places.map { sums[$0] }, shape: [places.count]), bound)
    if let complaint = comparison.complaint { return complaint }
    guard let moments else { return nil }
    return try SampledMoments(of: result, on: backend).complaint(backend.download(moments), bound)
  }

  private func fill(_ operands: ConvolutionOperands) throws {
    for (tensor, values) in [(operands.x, sums.x), (operands.filter, sums.filter), (operands.y, sums.y)] {
      try write(values, to: tensor)
    }
    // An element that is not written shows.
    if !work.accumulates { try backend.fill(operands.result(of: work.pass), with: .nan) }
    guard let epilogue = operands.epilogue else { return }
    try backend.fill(epilogue.scale, with: sums.scale)
    try backend.fill(epilogue.bias, with: sums.bias)
    if let residual = epilogue.residual, let values = sums.residual { try write(values, to: residual) }
  }

  /// Writes values in pieces, so that the host needs little memory.
  private func write(_ values: RepeatedValues, to tensor: Tensor) throws {
    // Pieces begin with the first value, and where a slice may begin.
    let piece = RepeatedValues.period * backend.alignment
    let host = values.tensor([min(piece, tensor.count)])
    for start in stride(from: 0, to: tensor.count, by: piece) {
      let bytes = min(piece, tensor.count - start) * tensor.type.byteCount
      let slice = try backend.slice(tensor, from: start * tensor.type.byteCount, byteCount: bytes)
      try host.bytes.withUnsafeBytes { try backend.write(UnsafeRawBufferPointer(rebasing: $0[..<bytes]), to: slice) }
    }
  }

  /// Returns positions in a result: corners, the first and the last one among them, and twice as many that are spread over it.
  /// - Parameter count: number of positions; less for a result that has fewer elements.
  private static func places(in shape: Shape, count: Int) -> [Int] {
    let all = shape.dimensions.reduce([0]) { starts, size in starts.flatMap { [$0 * size, ($0 + 1) * size - 1] } }
    let (cornerCount, spread) = (count / 3, count - count / 3)
    let corners = (0..<cornerCount).map { all[$0 * (all.count - 1) / (cornerCount - 1)] }
    var random = Philox(seed: 0, stream: 1)
    let others = (0..<spread).map { part in
      let (first, next) = (shape.count * part / spread, shape.count * (part + 1) / spread)
      return first + (next > first ? random.below(next - first) : 0)
    }
    return Set(corners + others).sorted()
  }

  private func element(_ index: Int, of tensor: Tensor) throws -> Double {
    let offset = index * tensor.type.byteCount
    let start = offset / backend.alignment * backend.alignment
    let slice = try backend.slice(tensor, from: start, byteCount: min(backend.alignment, tensor.byteCount - start))
    return try backend.download(slice).doubles[(offset - start) / tensor.type.byteCount]
  }
}

extension OpenCLBackend {
  /// Returns a part of a tensor, in one dimension.
  /// - Parameter start: offset in bytes, a multiple of ``alignment``.
  func slice(_ tensor: Tensor, from start: Int, byteCount: Int) throws -> Tensor {
    Tensor(
      shape: [byteCount / tensor.type.byteCount], type: tensor.type,
      storage: try slice(tensor.storage, offset: start, byteCount: byteCount))
  }
}
