import Compute
import Conformance
import OpenCLBackend

/// One piece of work with its operands on a device, and what comes out of it for a few images.
struct ConvolutionTrial {
  private let work: ConvolutionWork
  private let backend: OpenCLBackend
  /// x and filter, dy and filter, or x and dy.
  private let operands: [Tensor]
  private let result: Tensor
  /// What the result holds before: values to add to, or NaN, so that an element that is not written shows.
  private let before: HostTensor
  /// The images whose results are known, spread over the batch.
  private let images: [Int]
  private let expected: HostTensor
  /// The same work on these images alone, which the bounds are for.
  private let fewWork: ConvolutionWork

  /// Multiply-accumulates that the reference may spend: a tenth of a second or so.
  private static let affordable = 50_000_000

  init(_ work: ConvolutionWork, on backend: OpenCLBackend, reference: any Backend) throws {
    let g = work.geometry
    (self.work, self.backend) = (work, backend)
    let count = max(1, min(g.n, Self.affordable / (g.macs / g.n)))
    let images = (0..<count).map { count == 1 ? 0 : $0 * (g.n - 1) / (count - 1) }
    self.images = images
    let few = Conv2D(
      input: [images.count, g.h, g.w, g.c], filter: g.filter, stride: g.stride, padding: g.padding)

    var random = Philox(seed: 0, stream: 0)
    // A prime number of values, so that their repetition falls in step with no dimension.
    let values = (0..<65_521).map { _ in random.uniform() * 2 - 1 }
    var shapes = [g.input, g.filter, g.output].map { Self.repeating(values, $0) }
    if work.pass == .filterGradient { shapes[2] = Self.zeroing(shapes[2], except: images) }
    let (x, filter, y) = (shapes[0], shapes[1], shapes[2])
    let cut = { (tensor: HostTensor) in Self.cut(tensor, to: images) }
    let isGradient = work.pass == .filterGradient
    before =
      work.accumulates
      ? x
      : HostTensor([Float](repeating: .nan, count: Self.resultShape(work.pass, g).count), shape: Self.resultShape(work.pass, g))

    let inputs: [HostTensor]
    switch work.pass {
    case .forward: inputs = [x, filter]
    case .inputGradient: inputs = [y, filter]
    case .filterGradient: inputs = [x, y]
    }
    operands = try inputs.map(backend.upload)
    result = try backend.upload(before)

    let fewInputs = inputs.enumerated().map { index, tensor in index == 1 && !isGradient ? tensor : cut(tensor) }
    let known = try reference.upload(isGradient ? before : cut(before))
    fewWork = ConvolutionWork(work.pass, few, accumulates: work.accumulates)
    try Self.run(fewWork, on: reference, try fewInputs.map(reference.upload), known)
    expected = try reference.download(known)
  }

  /// What is wrong with the result of a choice, or nil.
  /// - Throws: what the device says.
  func complaint(_ choice: ConvolutionChoice?) throws -> String? {
    try before.bytes.withUnsafeBytes { try backend.write($0, to: result) }
    try run(choice)
    let whole = try backend.download(result)
    let part = work.pass == .filterGradient ? whole : Self.cut(whole, to: images)
    // The built-in choice may be Winograd's where the shape allows.
    let mayTransform = choice.map { $0.algorithm == .winograd } ?? (work.geometry.r == 3 && work.geometry.stride == 1)
    return Comparison("the result", part, against: expected, .convolution(fewWork, winograd: mayTransform)).complaint
  }

  /// Times two choices in turn.
  /// - Parameter dropping: whether to leave it at the first runs where they leave no hope for the new one.
  func compare(_ new: ConvolutionChoice?, _ old: ConvolutionChoice?, dropping: Bool = true) throws -> (new: Times, old: Times) {
    // The first runs compile and warm up; the next tell how many make ten milliseconds.
    for choice in [old, new] { _ = try seconds(choice, runs: 1) }
    let first = (new: try seconds(new, runs: 1), old: try seconds(old, runs: 1))
    if dropping && first.new > 1.5 * first.old { return (Times([first.new]), Times([first.old])) }
    let runs = max(1, min(50, Int(0.01 / max(first.old, 1e-6))))
    let pairs = try (0..<7).map { _ in (new: try seconds(new, runs: runs), old: try seconds(old, runs: runs)) }
    return (Times(pairs.map(\.new)), Times(pairs.map(\.old)))
  }

  private func seconds(_ choice: ConvolutionChoice?, runs: Int) throws -> Double {
    let start = ContinuousClock.now
    for _ in 0..<runs { try run(choice) }
    try backend.finish()
    return (ContinuousClock.now - start).seconds / Double(runs)
  }

  private func run(_ choice: ConvolutionChoice?) throws {
    backend.choose(choice, for: work)
    try Self.run(work, on: backend, operands, result)
  }

  private static func run(_ work: ConvolutionWork, on backend: any Backend, _ operands: [Tensor], _ result: Tensor) throws {
    let (a, b, g) = (operands[0], operands[1], work.geometry)
    switch work.pass {
    case .forward: try backend.convolution(a, filter: b, g, into: result)
    case .inputGradient: try backend.convolutionInputGradient(a, filter: b, g, accumulate: work.accumulates, into: result)
    case .filterGradient: try backend.convolutionFilterGradient(a, b, g, into: result)
    }
  }

  private static func resultShape(_ pass: ConvolutionPass, _ g: Conv2D) -> Shape {
    switch pass {
    case .forward: g.output
    case .inputGradient: g.input
    case .filterGradient: g.filter
    }
  }

  private static func repeating(_ values: [Float], _ shape: Shape) -> HostTensor {
    let elements = [Float](unsafeUninitializedCapacity: shape.count) { buffer, filled in
      while filled < shape.count {
        let part = values.prefix(shape.count - filled)
        _ = UnsafeMutableBufferPointer(rebasing: buffer[filled...]).initialize(from: part)
        filled += part.count
      }
    }
    return HostTensor(elements, shape: shape)
  }

  /// Only these images.
  private static func cut(_ tensor: HostTensor, to images: [Int]) -> HostTensor {
    let size = tensor.bytes.count / tensor.shape[0]
    return HostTensor(
      shape: Shape([images.count] + tensor.shape.dimensions.dropFirst()), type: tensor.type,
      bytes: images.flatMap { tensor.bytes[$0 * size..<($0 + 1) * size] })
  }

  /// The same images, the others zero.
  private static func zeroing(_ tensor: HostTensor, except images: [Int]) -> HostTensor {
    let size = tensor.bytes.count / tensor.shape[0]
    var bytes = [UInt8](repeating: 0, count: tensor.bytes.count)
    for image in images {
      bytes.replaceSubrange(image * size..<(image + 1) * size, with: tensor.bytes[image * size..<(image + 1) * size])
    }
    return HostTensor(shape: tensor.shape, type: tensor.type, bytes: bytes)
  }
}

/// How long the runs of one choice took, in seconds.
struct Times {
  let median, least: Double

  /// - Precondition: there is a run.
  init(_ seconds: [Double]) {
    let sorted = seconds.sorted()
    (median, least) = (sorted[sorted.count / 2], sorted[0])
  }

  /// Whether these runs were faster, by that part at least. Other programs disturb medians, good luck the least; both must say so.
  func beat(_ other: Times, by margin: Double = 0) -> Bool {
    median < other.median * (1 - margin) && least < other.least * (1 - margin)
  }
}
