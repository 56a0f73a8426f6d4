import Compute

/// One convolution as an algorithm computes it: its kernels, and all sizes that they run with.
protocol ConvolutionPlan: Hashable {
  associatedtype Algorithm: ConvolutionAlgorithm

  var problem: ConvolutionProblem { get }
  /// Bytes of the workspaces that ``enqueue(_:prepared:_:on:)`` borrows.
  var workspaces: [Int] { get }
  /// Number of chunks of y whose moments the kernel can take while it writes them; nil if it cannot do this.
  var momentChunks: Int? { get }

  /// Number of elements of the prepared filter.
  var preparedCount: Int { get }
  /// Form in which an input gradient turns the filter for this plan; nil if the plan reads the filter as it was given.
  var turnedFilter: TurnedFilter? { get }
  /// Returns whether a filter in this form has to be prepared before the kernels can read it.
  func needsPreparation(_ form: FilterForm) -> Bool
  /// Brings a filter that was given or turned into the form that the kernels read.
  func prepare(_ filter: Tensor, into prepared: Tensor, on backend: OpenCLBackend) throws

  /// Computes y = x ∗ filter.
  /// - Parameter prepared: the result of ``prepare(_:into:on:)``, or a filter that needs no preparation.
  func enqueue(_ x: Tensor, prepared: Tensor, _ epilogue: Epilogue, on backend: OpenCLBackend) throws

  /// Returns the bytes of the workspaces that ``enqueue(_:_:_:_:on:)`` borrows for a filter in this form.
  func workspaces(for form: FilterForm) -> [Int]
  /// Computes y = x ∗ filter with a filter in any form.
  func enqueue(_ x: Tensor, _ filter: Tensor, _ form: FilterForm, _ epilogue: Epilogue, on backend: OpenCLBackend) throws
}

/// Form of a filter in device memory.
enum FilterForm {
  /// [R,S,C,K], as the caller gave it.
  case given
  /// Form that an input gradient writes.
  case turned
  /// Form that the kernels read.
  case prepared
}

/// A plan reads the filter as it is, unless it says otherwise.
extension ConvolutionPlan {
  var workspaces: [Int] { [] }
  var momentChunks: Int? { nil }
  var preparedCount: Int { problem.filterCount }
  var turnedFilter: TurnedFilter? { .blocks(count: problem.filterCount) }

  func needsPreparation(_ form: FilterForm) -> Bool { false }

  func prepare(_ filter: Tensor, into prepared: Tensor, on backend: OpenCLBackend) throws {
    try backend.copy(filter.reshaped(prepared.shape), into: prepared)
  }

  func workspaces(for form: FilterForm) -> [Int] { (needsPreparation(form) ? [preparedCount * 4] : []) + workspaces }

  func enqueue(_ x: Tensor, _ filter: Tensor, _ form: FilterForm, _ epilogue: Epilogue, on backend: OpenCLBackend) throws {
    guard needsPreparation(form) else { return try enqueue(x, prepared: filter, epilogue, on: backend) }
    let prepared = try backend.tensor([preparedCount])
    try prepare(filter, into: prepared, on: backend)
    try enqueue(x, prepared: prepared, epilogue, on: backend)
  }

  var algorithm: any ConvolutionAlgorithm { Algorithm() }
}

/// A filter gradient as an algorithm computes it.
protocol FilterGradientPlan: Hashable {
  associatedtype Algorithm: ConvolutionAlgorithm

  /// Bytes of the workspaces that ``enqueue(_:_:into:on:)`` borrows.
  var workspaces: [Int] { get }

  /// Computes the gradient dw [R,S,C,K] of a filter.
  func enqueue(_ x: Tensor, _ dy: Tensor, into dw: Tensor, on backend: OpenCLBackend) throws
}

extension FilterGradientPlan {
  var workspaces: [Int] { [] }
  var algorithm: any ConvolutionAlgorithm { Algorithm() }
}
