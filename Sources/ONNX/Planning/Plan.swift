import Compute

/// Steps that run, in order, for inputs of given shapes. Everything is checked and laid out; no memory is allocated yet.
struct Plan {
  struct Step {
    /// Buffers that the step reads, and buffers that it fills. The latter are taken from the pool right before the step.
    let reads, writes: [Int]
    let run: (Execution) throws -> Void
  }

  /// Number of elements of each buffer.
  var counts: [Int] = []
  /// Index of the parameter for each buffer that holds a constant.
  var constants: [Int: Int] = [:]
  var parameters: [Parameter] = []
  var steps: [Step] = []
  /// Convolutions that run as the backend's own convolution operation.
  var convolutions: [Conv2D] = []
  var inputs: [String: Computed] = [:]
  var outputs: [(name: String, value: Value)] = []

  /// Returns, for each step, the buffers that nothing reads after it.
  func lastUses() -> [[Int]] {
    var seen = Set(constants.keys)
    for case .computed(let output) in outputs.map(\.value) { seen.insert(output.buffer) }
    var released = [[Int]](repeating: [], count: steps.count)
    for (index, step) in steps.enumerated().reversed() {
      for buffer in step.reads + step.writes where seen.insert(buffer).inserted { released[index].append(buffer) }
    }
    return released
  }
}

/// Tensors that are made of constants once and serve every batch.
struct Parameter {
  /// Key that distinguishes parameters: the constants, and the form into which they are brought.
  struct Key: Hashable {
    let constants: [Constant]
    let form: String

    static func == (a: Key, b: Key) -> Bool {
      a.form == b.form && a.constants.elementsEqual(b.constants) { $0 === $1 }
    }

    func hash(into hasher: inout Hasher) {
      hasher.combine(form)
      for constant in constants { hasher.combine(ObjectIdentifier(constant)) }
    }
  }

  let key: Key
  let make: (any Backend) throws -> [Tensor]
}

/// Runs plans on one device, and keeps their parameters.
final class Runner {
  let backend: any Backend
  private var parameters: [Parameter.Key: [Tensor]] = [:]

  init(on backend: any Backend) { self.backend = backend }

  /// Frees the parameters that the plans so far have made.
  func forgetParameters() { parameters = [:] }

  func tensors(of parameter: Parameter) throws -> [Tensor] {
    if let made = parameters[parameter.key] { return made }
    let made = try parameter.make(backend)
    parameters[parameter.key] = made
    return made
  }

  /// Runs a plan.
  /// - Parameter inputs: tensors in the stored shapes of the plan's inputs.
  /// - Returns: the execution, which holds each computed output by its buffer.
  func run(_ plan: Plan, _ lastUses: [[Int]], inputs: [String: Tensor]) throws -> Execution {
    let execution = Execution(plan, self)
    for (name, computed) in plan.inputs {
      if let tensor = inputs[name] { execution.tensors[computed.buffer] = tensor.reshaped([tensor.count]) }
    }
    for (buffer, parameter) in plan.constants {
      execution.tensors[buffer] = try tensors(of: plan.parameters[parameter])[0]
    }
    for (index, step) in plan.steps.enumerated() {
      for buffer in step.writes where execution.tensors[buffer] == nil {
        execution.tensors[buffer] = try backend.tensor([plan.counts[buffer]])
      }
      try step.run(execution)
      for buffer in lastUses[index] { execution.tensors[buffer] = nil }
    }
    return execution
  }
}

/// One run of a plan.
final class Execution {
  private let plan: Plan
  private let runner: Runner
  fileprivate(set) var tensors: [Int: Tensor] = [:]

  fileprivate init(_ plan: Plan, _ runner: Runner) { (self.plan, self.runner) = (plan, runner) }

  var backend: any Backend { runner.backend }

  /// Tensor of a value in its stored shape.
  subscript(value: Computed) -> Tensor { self[value, Shape(value.storedShape)] }

  /// Tensor of a value's memory under another shape.
  subscript(value: Computed, shape: Shape) -> Tensor {
    guard let tensor = tensors[value.buffer] else { preconditionFailure("[ONNX] buffer \(value.buffer) is not there") }
    return tensor.reshaped(shape)
  }

  func parameter(_ index: Int) throws -> [Tensor] { try runner.tensors(of: plan.parameters[index]) }
}
