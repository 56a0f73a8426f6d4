/// How the work-items of a kernel that includes `group.h` form work-groups.
struct WorkGroup: Hashable {
  /// Work-items side by side, over columns or vectors; nil where each is a group of its own (``KernelClass/registerTiled``).
  let lanes: Int?
  /// Work-items above each other, over rows; a power of two.
  let rows: Int

  static let alone = WorkGroup(lanes: nil, rows: 1)

  /// What `group.h` has to know; all offsets of these kernels are multiples of a vector.
  var defines: KeyValuePairs<String, Int> { lanes.map { ["ALIGNED": 1, "LANES": $0, "ROWS": rows] } ?? [:] }

  /// Work-items for `columns` columns in each of `blocks` blocks of rows.
  func grid(columns: Int, blocks: Int = 1) -> Grid {
    guard let lanes else { return Grid(group: self, global: [columns, blocks], local: nil) }
    return Grid(group: self, global: [columns.rounded(upTo: lanes), blocks * rows], local: [lanes, rows])
  }

  /// Work-items in a launch and in a group; nil where the class of kernels decides.
  struct Grid {
    let group: WorkGroup
    let global: [Int]
    let local: [Int]?
  }
}

extension DeviceTraits {
  /// Groups that share `rows` rows of `columns` vectors of `width` floats and add up in local memory: enough lanes that what
  /// neighbours read is one piece of memory, the rest above each other.
  /// - Parameter lanes: the most that are worth it; 32 vectors of four floats are four cache lines.
  func group(columns: Int, of width: Int, rows: Int, lanes: Int = 32) -> WorkGroup {
    guard kernelClass == .localTiled else { return .alone }
    let items = min(workGroupSize, (localMemory / (4 * width)).powerOfTwo)
    let lanes = min(lanes, columns.powerOfTwoAbove, items)
    return WorkGroup(lanes: lanes, rows: min(rows.powerOfTwoAbove, items / lanes))
  }

  /// At least `items` work-items in a line.
  /// - Parameter most: work-items of a group, for kernels of so many registers that few groups share a compute unit.
  func grid(items: Int, inGroupsOf most: Int = 256) -> WorkGroup.Grid {
    let group = line(min(items, most))
    return WorkGroup.Grid(group: group, global: [items.rounded(upTo: group.lanes ?? 1)], local: group.lanes.map { [$0] })
  }

  /// Work-items for `images` images, each of `rows` rows of `vectors` vectors.
  func grid(images: Int, rows: Int, vectors: Int) -> WorkGroup.Grid {
    let group = line(vectors)
    guard let lanes = group.lanes else { return WorkGroup.Grid(group: group, global: [rows, images], local: nil) }
    return WorkGroup.Grid(group: group, global: [vectors.rounded(upTo: lanes), rows, images], local: [lanes, 1, 1])
  }

  /// Groups for `items` work-items in a line.
  private func line(_ items: Int) -> WorkGroup {
    kernelClass == .localTiled ? WorkGroup(lanes: min(items, workGroupSize).powerOfTwo, rows: 1) : .alone
  }
}

extension Int {
  /// The next multiple of `step`.
  func rounded(upTo step: Int) -> Int { (self + step - 1) / step * step }

  /// The largest power of two that is not larger, at least 1.
  var powerOfTwo: Int { self < 2 ? 1 : 1 << (bitWidth - 1 - leadingZeroBitCount) }

  /// The smallest power of two that is not smaller, at least 1.
  var powerOfTwoAbove: Int { self < 2 ? 1 : (self - 1).powerOfTwo * 2 }
}
