import CKernelParameters
import Compute

extension OpenCLBackend {
  public func rearrange(_ x: Tensor, _ copy: StridedCopy, into y: Tensor) throws {
    check(.rearrange(x, copy, into: y))
    if copy.count == 0 { return }
    let (e, s, t) = (copy.extents, copy.from.strides, copy.to.strides)
    // A vector is contiguous in both tensors and begins at a multiple of its width.
    let isPiece = s[5] == 1 && t[5] == 1
    let offsets = ([e[5], copy.from.start, copy.to.start] + s.dropLast() + t.dropLast()).reduce(0, |)
    let width = isPiece ? traits.vectorWidth(dividing: offsets) : 1
    let (images, rows) = (e[0] * e[1] * e[2], e[3])
    try launch(
      KernelSpecialization("elementwise.cl", "rearrange", ["VW": width]),
      on: traits.grid(images: images, rows: rows, vectors: e[4] * e[5] / width),
      moving: 8 * copy.count,
      [.buffer(x.buffer), .buffer(y.buffer), .structure(try copy.parameters)])
  }
}

extension StridedCopy {
  fileprivate var parameters: strided_copy_t {
    get throws {
      func six(_ n: [Int]) throws -> (Int32, Int32, Int32, Int32, Int32, Int32) {
        try (int32(n[0]), int32(n[1]), int32(n[2]), int32(n[3]), int32(n[4]), int32(n[5]))
      }
      return try strided_copy_t(
        from: int32(from.start), to: int32(to.start), extents: six(extents), fromStrides: six(from.strides),
        toStrides: six(to.strides))
    }
  }
}
