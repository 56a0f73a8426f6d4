/// Shape of the work-groups of a kernel that includes `group.h`.
struct WorkGroup: Hashable {
  /// Work-items side by side, over columns or vectors; nil if each one is its own work-group (``KernelClass/registerTiled``).
  let lanes: Int?
  /// Work-items above each other, over rows; a power of two.
  let rows: Int

  static let alone = WorkGroup(lanes: nil, rows: 1)

  /// Constants that `group.h` needs. All offsets of these kernels are multiples of a vector.
  var defines: KeyValuePairs<String, Int> { lanes.map { ["ALIGNED": 1, "LANES": $0, "ROWS": rows] } ?? [:] }

  /// Returns work-items for `columns` columns in each of `blocks` blocks of rows.
  func grid(columns: Int, blocks: Int = 1) -> Grid {
    guard let lanes else { return Grid(group: self, global: [columns, blocks], local: nil) }
    return Grid(group: self, global: [columns.rounded(upTo: lanes), blocks * rows], local: [lanes, rows])
  }

  /// Work-items in a launch and in a work-group; `local` is nil if the class of kernels decides.
  struct Grid {
    let group: WorkGroup
    let global: [Int]
    let local: [Int]?
  }
}

extension DeviceTraits {
  /// Returns work-groups that share `rows` rows of `columns` vectors of `width` floats and add up in local memory. They have
  /// enough lanes for neighbors to read one contiguous piece of memory; the other work-items lie above each other.
  /// - Parameter lanes: largest useful number of lanes; 32 vectors of four floats are four cache lines.
  func group(columns: Int, of width: Int, rows: Int, lanes: Int = 32) -> WorkGroup {
    guard kernelClass == .localTiled else { return .alone }
    let items = min(workGroupSize, (localMemory / (4 * width)).powerOfTwo)
    let lanes = min(lanes, columns.powerOfTwoAbove, items)
    return WorkGroup(lanes: lanes, rows: min(rows.powerOfTwoAbove, items / lanes))
  }

  /// Returns at least `items` work-items in one dimension.
  /// - Parameter most: largest work-group size, for kernels with so many registers that few work-groups share a compute unit.
  func grid(items: Int, inGroupsOf most: Int = 256) -> WorkGroup.Grid {
    let group = line(min(items, most))
    return WorkGroup.Grid(group: group, global: [items.rounded(upTo: group.lanes ?? 1)], local: group.lanes.map { [$0] })
  }

  /// Returns work-items for `images` images, each of `rows` rows of `vectors` vectors.
  func grid(images: Int, rows: Int, vectors: Int) -> WorkGroup.Grid {
    let group = line(vectors)
    guard let lanes = group.lanes else { return WorkGroup.Grid(group: group, global: [rows, images], local: nil) }
    return WorkGroup.Grid(group: group, global: [vectors.rounded(upTo: lanes), rows, images], local: [lanes, 1, 1])
  }

  /// Returns work-groups for `items` work-items in one dimension.
  private func line(_ items: Int) -> WorkGroup {
    kernelClass == .localTiled ? WorkGroup(lanes: min(items, workGroupSize).powerOfTwo, rows: 1) : .alone
  }
}

extension Int {
  /// Returns the smallest multiple of `step` that is not smaller than this number.
  func rounded(upTo step: Int) -> Int { (self + step - 1) / step * step }

  /// Largest power of two that is not larger than this number, at least 1.
  var powerOfTwo: Int { self < 2 ? 1 : 1 << (bitWidth - 1 - leadingZeroBitCount) }

  /// Smallest power of two that is not smaller than this number, at least 1.
  var powerOfTwoAbove: Int { self < 2 ? 1 : (self - 1).powerOfTwo * 2 }
}
