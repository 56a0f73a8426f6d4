import Compute
import Conformance
import OpenCLBackend
import Support

/// A piece of work with its operands on a device, and with the expected result for a few images.
final class ConvolutionTrial {
  private let work: ConvolutionWork
  private let backend: OpenCLBackend
  /// Operands: x and filter, dy and filter, or x and dy; in inference also scale and bias.
  private let operands: [Tensor]
  private let result: Tensor
  /// Prepared filter for each choice, in inference.
  private var prepared: [ConvolutionChoice?: Tensor] = [:]
  /// Initial contents of the result: values to add to, or NaN, so that an element that is not written shows.
  private let before: HostTensor
  /// Images whose results are known, spread over the batch.
  private let images: [Int]
  private let expected: HostTensor
  /// Work on these images alone, to which the error bounds apply.
  private let fewWork: ConvolutionWork

  /// Multiply-accumulates that the reference may spend: about a tenth of a second.
  private static let affordable = 50_000_000

  init(_ work: ConvolutionWork, on backend: OpenCLBackend, reference: any Backend) throws {
    let g = work.geometry
    (self.work, self.backend) = (work, backend)
    let count = max(1, min(g.n, Self.affordable / (g.macs / g.n)))
    let images = (0..<count).map { count == 1 ? 0 : $0 * (g.n - 1) / (count - 1) }
    self.images = images
    let few = g.batch(of: images.count)

    let values = RepeatedValues(.float32)
    var shapes = [g.input, g.filter, g.output].map(values.tensor)
    if work.pass == .filterGradient { shapes[2] = Self.zeroing(shapes[2], except: images) }
    let filter = shapes[1]
    let (x, y) = (shapes[0].converted(to: work.storage), shapes[2].converted(to: work.storage))
    let cut = { (tensor: HostTensor) in Self.cut(tensor, to: images) }
    let isGradient = work.pass == .filterGradient
    before =
      work.accumulates
      ? x
      : HostTensor([Float](repeating: .nan, count: Self.resultShape(work.pass, g).count), shape: Self.resultShape(work.pass, g))
        .converted(to: isGradient ? .float32 : work.storage)

    let inputs: [HostTensor]
    switch work.pass {
    case .forward, .forwardWithStatistics: inputs = [x, filter]
    case .inference:
      inputs = [x, filter] + [Float(1.25), 0.5].map { HostTensor([Float](repeating: $0, count: g.k), shape: [g.k]) }
    case .inputGradient: inputs = [y, filter]
    case .filterGradient: inputs = [x, y]
    }
    operands = try inputs.map { try backend.upload($0, as: $0.type) }
    result = try backend.upload(before, as: before.type)

    let fewInputs = inputs.enumerated().map { index, tensor in index == 0 || isGradient ? cut(tensor) : tensor }
    let known = try reference.upload(isGradient ? before : cut(before))
    fewWork = ConvolutionWork(work.pass, few, work.storage, accumulates: work.accumulates)
    let fewOperands = try fewInputs.map { try reference.upload($0) }
    let preparedFilter = work.pass == .inference ? try Self.prepare(fewOperands[1], fewWork, on: reference) : nil
    try Self.run(fewWork, on: reference, fewOperands, prepared: preparedFilter, known)
    expected = try reference.download(known)
  }

  /// Returns a description of the error in the result of a choice; nil if the result is correct.
  /// - Throws: any error that the device reports.
  func complaint(_ choice: ConvolutionChoice?) throws -> String? {
    try before.bytes.withUnsafeBytes { try backend.write($0, to: result) }
    try run(choice)
    let whole = try backend.download(result)
    let part = work.pass == .filterGradient ? whole : Self.cut(whole, to: images)
    // The built-in choice may be Winograd's if the shape allows it.
    let mayTransform = choice.map(\.transforms) ?? (work.geometry.r == 3 && work.geometry.stride == 1)
    let bound = Bound.convolution(fewWork, winograd: mayTransform).multiplying(
      backend.factorType(storing: work.storage))
    return Comparison("the result", part, against: expected, bound).complaint
  }

  /// Times two choices alternately; each of them is first in every other turn.
  /// - Parameters:
  ///   - turns: number of turns, which is odd.
  ///   - dropping: whether to stop after the first runs if they leave no hope for the new choice.
  func compare(
    _ new: ConvolutionChoice?, _ old: ConvolutionChoice?, turns: Int, dropping: Bool
  ) throws -> Race {
    // The first runs compile and warm up. The next ones show how many runs take ten milliseconds.
    for choice in [old, new] { _ = try seconds(choice, runs: 1) }
    let first = (new: try seconds(new, runs: 1), old: try seconds(old, runs: 1))
    if dropping && first.new > 1.5 * first.old { return Race(new: [first.new], old: [first.old]) }
    let runs = max(1, min(50, Int(0.01 / max(first.old, 1e-6))))
    var times = (new: [Double](), old: [Double]())
    for turn in 0..<turns {
      if turn % 2 == 0 { times.new.append(try seconds(new, runs: runs)) }
      times.old.append(try seconds(old, runs: runs))
      if turn % 2 == 1 { times.new.append(try seconds(new, runs: runs)) }
    }
    return Race(new: times.new, old: times.old)
  }

  private func seconds(_ choice: ConvolutionChoice?, runs: Int) throws -> Double {
    let start = ContinuousClock.now
    for _ in 0..<runs { try run(choice) }
    try backend.finish()
    return (ContinuousClock.now - start).seconds / Double(runs)
  }

  private func run(_ choice: ConvolutionChoice?) throws {
    backend.choose(choice, for: work)
    if work.pass == .inference && prepared[choice] == nil {
      prepared[choice] = try Self.prepare(operands[1], work, on: backend)
    }
    try Self.run(work, on: backend, operands, prepared: prepared[choice], result)
  }

  private static func prepare(_ filter: Tensor, _ work: ConvolutionWork, on backend: any Backend) throws -> Tensor {
    let prepared = try backend.tensor([backend.preparedFilterCount(work.geometry, work.storage)])
    try backend.prepareFilter(filter, work.geometry, work.storage, into: prepared)
    return prepared
  }

  private static func run(
    _ work: ConvolutionWork, on backend: any Backend, _ operands: [Tensor], prepared: Tensor?, _ result: Tensor
  ) throws {
    let (a, b, g) = (operands[0], operands[1], work.geometry)
    switch work.pass {
    case .forward, .forwardWithStatistics: try backend.convolution(a, filter: b, g, into: result)
    case .inference:
      guard let prepared else { preconditionFailure("[ConvolutionTrial] no prepared filter") }
      let epilogue = ConvolutionEpilogue(scale: operands[2], bias: operands[3], residual: nil, relu: true)
      try backend.convolution(a, prepared: prepared, g, epilogue, into: result)
    case .inputGradient: try backend.convolutionInputGradient(a, filter: b, g, accumulate: work.accumulates, into: result)
    case .filterGradient: try backend.convolutionFilterGradient(a, b, g, into: result)
    }
  }

  private static func resultShape(_ pass: ConvolutionPass, _ g: Conv2D) -> Shape {
    switch pass {
    case .forward, .forwardWithStatistics, .inference: g.output
    case .inputGradient: g.input
    case .filterGradient: g.filter
    }
  }

  /// Returns a tensor of these images only.
  private static func cut(_ tensor: HostTensor, to images: [Int]) -> HostTensor {
    let size = tensor.bytes.count / tensor.shape[0]
    return HostTensor(
      shape: Shape([images.count] + tensor.shape.dimensions.dropFirst()), type: tensor.type,
      bytes: images.flatMap { tensor.bytes[$0 * size..<($0 + 1) * size] })
  }

  /// Returns the same tensor with the other images set to zero.
  private static func zeroing(_ tensor: HostTensor, except images: [Int]) -> HostTensor {
    let size = tensor.bytes.count / tensor.shape[0]
    var bytes = [UInt8](repeating: 0, count: tensor.bytes.count)
    for image in images {
      bytes.replaceSubrange(image * size..<(image + 1) * size, with: tensor.bytes[image * size..<(image + 1) * size])
    }
    return HostTensor(shape: tensor.shape, type: tensor.type, bytes: bytes)
  }
}

/// Times of the runs of two choices in seconds, turn by turn.
struct Race {
  let new, old: [Double]

  /// Whether the new choice was faster. It must be faster by at least `margin`, a fraction, in the median and at best, and faster
  /// in three of four turns. Other programs on the machine can spoil any one of these criteria alone.
  func isWon(by margin: Double = 0) -> Bool {
    let wins = zip(new, old).count { $0 < $1 }
    return new.median < old.median * (1 - margin) && new.least < old.least * (1 - margin) && 4 * wins >= 3 * new.count
  }
}

extension [Double] {
  var least: Double { self.min() ?? .infinity }
}
