import Compute

extension Pass {
  /// Computes the option-A shortcut (He et al. 2015, section 3.3): takes every stride-th pixel and pads with zero channels to
  /// `channels` = K. x [N,H,W,C] → y [N,⌈H/stride⌉,⌈W/stride⌉,K].
  public func padShortcut(_ x: Variable, stride: Int, channels: Int) throws -> Variable {
    let (shape, type) = (x.shape, x.value.type)
    let y = try backend.batchTensor(
      [shape[0], (shape[1] + stride - 1) / stride, (shape[2] + stride - 1) / stride, channels], type)
    try backend.padShortcut(x.value, stride: stride, into: y)
    guard let slot = x.slot else { return Variable(y) }

    let backend = backend
    return record(y) { dy in
      try slot.accumulate(shape, type, on: backend) { dx, accumulate in
        try backend.padShortcutGradient(dy, stride: stride, accumulate: accumulate, into: dx)
      }
    }
  }
}
