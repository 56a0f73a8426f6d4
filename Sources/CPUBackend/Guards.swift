import Compute

extension CPUBackend {
  public func guardStep(
    _ flags: Tensor, scale: Tensor, metrics: Tensor, statistics: Tensor, gradients: Tensor?, limit: Int
  ) {
    check(.guardStep(flags, scale: scale, metrics: metrics, statistics: statistics, gradients: gradients, limit: limit))
    isDouble
      ? judge(Double.self, flags, scale, metrics, statistics, gradients, limit)
      : judge(Float.self, flags, scale, metrics, statistics, gradients, limit)
  }

  public func copyIf(_ flags: Tensor, at index: Int, _ x: Tensor, into y: Tensor) {
    check(.copyIf(flags, at: index, x, into: y))
    let flag = isDouble ? pointer(flags, to: Double.self)[index] : pointer(flags, to: Float.self)[index].double
    if flag != 0 { copy(x, into: y) }
  }
}

private func judge<T: CPUScalar>(
  _: T.Type, _ flags: Tensor, _ scale: Tensor, _ metrics: Tensor, _ statistics: Tensor, _ gradients: Tensor?, _ limit: Int
) {
  let areStatisticsFinite = areFinite(T.self, statistics)
  let areGradientsFinite = gradients.map { areFinite(T.self, $0) }
  let flags = pointer(flags, to: T.self)
  let scale = pointer(scale, to: T.self)
  let metrics = pointer(metrics, to: T.self)
  let isFinite = areGradientsFinite ?? (scale[LossScale.isFinite] != 0)
  let isFault = !metrics[0].isFinite || !areStatisticsFinite || (!isFinite && scale[LossScale.current] <= 1)
  let wasOpen = flags[GuardFlags.isOpen] != 0
  let isLeftOut = isFault || !wasOpen
  flags[GuardFlags.row] = isFault ? flags[GuardFlags.row] + 1 : 0
  flags[GuardFlags.isLeftOut] = isLeftOut ? 1 : 0
  flags[GuardFlags.isOpen] = wasOpen && flags[GuardFlags.row] < T(Double(limit)) ? 1 : 0
  let isScaled = gradients == nil
  if isLeftOut {
    metrics[0] = T.nan
    if !isScaled || isFinite { scale[LossScale.skipped] += 1 }
    scale[LossScale.isFinite] = 0
  } else if !isScaled {
    scale[LossScale.isFinite] = 1
  }
}

private func areFinite<T: CPUScalar>(_: T.Type, _ x: Tensor) -> Bool {
  let count = x.count
  let x = pointer(x, to: T.self)
  return (0..<count).allSatisfy { x[$0].isFinite }
}
