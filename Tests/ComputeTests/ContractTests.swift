import Compute
import Testing

/// Tests what the checks of all backends refuse.
@Suite struct ContractTests {
  private final class Memory: Storage {
    let byteCount: Int
    init(_ byteCount: Int) { self.byteCount = byteCount }
  }

  private func tensor(_ shape: Shape, _ type: DataType = .float32) -> Tensor {
    Tensor(shape: shape, type: type, storage: Memory(shape.count * type.byteCount))
  }

  private func violation(_ operation: OperationContract, acceptsHalf: Bool = true) -> String? {
    operation.violation(scalar: .float32, acceptsHalf: acceptsHalf)
  }

  @Test func operandsMustHaveTheShapesOfTheOperation() {
    let (x, y) = (tensor([2, 3]), tensor([2, 3]))
    #expect(violation(.relu(x, into: y)) == nil)
    // The count alone is not enough.
    #expect(violation(.relu(x, into: tensor([3, 2]))) == "[relu] y is [3, 2] of float32, not [2, 3] of float32")
    #expect(violation(.addBias(tensor([2]), to: y)) == "[addBias] bias is [2] of float32, not [3] of float32")
    let residual = tensor([3, 2])
    let channels = BatchNormChannels(mean: tensor([3]), inverseDeviation: tensor([3]), scale: tensor([3]), bias: tensor([3]))
    #expect(
      violation(.batchNorm(x, channels, residual: residual, relu: true, into: y))
        == "[batchNorm] residual is [3, 2] of float32, not [2, 3] of float32")
  }

  @Test func operandsMustHaveTheTypesOfTheOperation() {
    let (x, half) = (tensor([4]), tensor([4], .float16))
    #expect(
      violation(.relu(tensor([4], .int32), into: x)) == "[relu] x is [4] of int32, not [4] of float32 or float16 or bfloat16")
    #expect(violation(.clip(half, lower: 0, upper: 1, into: x)) == "[clip] x is [4] of float16, not [4] of float32")
    #expect(
      violation(.softmax(tensor([2, 3], .float64), into: tensor([2, 3])))
        == "[softmax] logits is [2, 3] of float64, not [2, 3] of float32")
    let (logits, labels) = (tensor([2, 3]), tensor([2], .uint8))
    #expect(
      violation(
        .crossEntropy(logits, labels: labels, smoothing: 0, metrics: tensor([3]), gradient: nil, lossScale: nil))
        == "[crossEntropy] labels is [2] of uint8, not [2] of int32")
  }

  @Test func activationsOfACallHaveOneType() {
    let (a, b) = (tensor([4], .float16), tensor([4], .bfloat16))
    #expect(violation(.add(a, tensor([4], .float16), relu: false, into: tensor([4], .float16))) == nil)
    #expect(violation(.add(a, b, relu: false, into: a)) == "[add] b is [4] of bfloat16, not [4] of float16")
    #expect(
      violation(.relu(a, into: a), acceptsHalf: false) == "[relu] x is [4] of float16, not [4] of float32")
  }

  @Test func resultsTakeOverOnlyTheMemoryThatTheyMay() {
    let (x, y, dy) = (tensor([4]), tensor([4]), tensor([4]))
    #expect(violation(.add(x, y, relu: true, into: y)) == nil)
    #expect(violation(.add(x, x, relu: true, into: x)) == nil)
    #expect(violation(.reluGradient(dy, y: y, into: dy)) == nil)
    #expect(violation(.reluGradient(dy, y: y, into: y)) == "[reluGradient] dx is in the memory of y")
    let (rows, channels) = (tensor([2, 2]), (0..<6).map { _ in tensor([2]) })
    let norm = BatchNormChannels(
      mean: channels[0], inverseDeviation: channels[1], scale: channels[2], bias: channels[3])
    func gradient(into dx: Tensor, dresidual: Tensor?) -> String? {
      violation(
        .batchNormGradient(
          rows, x: tensor([2, 2]), mask: .none, norm, into: dx, dscale: channels[4], dbias: channels[5], dresidual: dresidual))
    }
    #expect(gradient(into: rows, dresidual: nil) == nil)
    #expect(gradient(into: tensor([2, 2]), dresidual: rows) == nil)
    #expect(gradient(into: rows, dresidual: rows) == "[batchNormGradient] dresidual is in the memory of dx")
  }

  /// Checks the layouts by which several devices divide products.
  @Test func productsDivideTheRowsOfABatch() {
    func layouts(_ ta: Bool, _ tb: Bool) -> [OperationContract.Layout] {
      let operation = OperationContract.multiply(
        tensor([2, 2]), transposed: ta, tensor([2, 2]), transposed: tb, into: tensor([2, 2]))
      return operation.operands.map(\.layout)
    }
    #expect(layouts(false, true) == [.perImage, .onEveryDevice, .perImage])
    #expect(layouts(true, false) == [.perImage, .perImage, .sumOverImages])
    #expect(layouts(true, true) == [.onEveryDevice, .onEveryDevice, .onEveryDevice])
  }
}
