/// A kernel and the number of its work-items.
struct KernelLaunch: Hashable {
  let kernel: KernelSpecialization
  /// Work-items in all, and in a work-group; `local` is nil if the class of kernels decides about the work-group.
  let global: [Int]
  let local: [Int]?

  init(_ kernel: KernelSpecialization, global: [Int], local: [Int]? = nil) {
    (self.kernel, self.global, self.local) = (kernel, global, local)
  }

  /// Creates the launch of a kernel that includes `group.h`.
  init(_ kernel: KernelSpecialization, on grid: WorkGroup.Grid) {
    var kernel = kernel
    kernel.add(grid.group.defines)
    self.init(kernel, global: grid.global, local: grid.local)
  }

  /// Creates the launch of a kernel whose work-items are their own work-groups.
  init(_ kernel: KernelSpecialization, groupsOfOne global: [Int]) {
    self.init(kernel, global: global, local: [Int](repeating: 1, count: global.count))
  }
}
