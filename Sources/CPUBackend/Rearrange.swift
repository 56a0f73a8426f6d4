import Compute

extension CPUBackend {
  public func rearrange(_ x: Tensor, _ copy: StridedCopy, into y: Tensor) {
    check(.rearrange(x, copy, into: y))
    isDouble ? move(Double.self, x, copy, y) : move(Float.self, x, copy, y)
  }
}

private func move<T: CPUScalar>(_: T.Type, _ x: Tensor, _ copy: StridedCopy, _ y: Tensor) {
  let x = pointer(x, to: T.self)
  let y = pointer(y, to: T.self)
  let last = StridedCopy.rank - 1
  let (width, s, t) = (copy.extents[last], copy.from.strides[last], copy.to.strides[last])
  if width == 0 { return }
  // `row` combines the indices of all dimensions but the last.
  for row in 0..<copy.count / width {
    var (rest, from, to) = (row, copy.from.start, copy.to.start)
    for j in (0..<last).reversed() {
      let index = rest % copy.extents[j]
      rest /= copy.extents[j]
      from += index * copy.from.strides[j]
      to += index * copy.to.strides[j]
    }
    for i in 0..<width { y[to + i * t] = x[from + i * s] }
  }
}
