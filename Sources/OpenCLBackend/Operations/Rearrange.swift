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
      [.buffer(x.buffer), .buffer(y.buffer)]
        + ([copy.from.start, copy.to.start, e[1], e[2], e[4], e[5]] + s + t).map { .int($0) })
  }
}
