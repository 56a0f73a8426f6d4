import Images
import Support

extension ImageSource {
  /// Number of images of each class, in the order of the labels.
  /// - Precondition: each label is the number of a class.
  public var classCounts: [Int] {
    items.reduce(into: [Int](repeating: 0, count: classes.count)) { $0[Int($1.label)] += 1 }
  }

  /// Line for users on how uneven the classes are, for example `images per class: ant 12, bee 300`. Of more than ten classes,
  /// the line names the smallest and the largest one, and up to five without images.
  package var classCountsDescription: String {
    let counts = classCounts
    let sorted = counts.indices.sorted { (counts[$0], $0) < (counts[$1], $1) }
    guard let smallest = sorted.first, let largest = sorted.last else { return "no classes" }
    func named(_ label: Int) -> String { "\(shortened(classes[label])) \(grouped(counts[label]))" }
    if counts[smallest] == counts[largest] { return "images per class: \(grouped(counts[smallest])) each" }
    if counts.count <= 10 { return "images per class: " + counts.indices.map(named).joined(separator: ", ") }
    let empty = counts.indices.filter { counts[$0] == 0 }.map { classes[$0] }
    return "images per class: smallest \(named(smallest)), median \(grouped(median(of: counts))), largest \(named(largest))"
      + (empty.isEmpty ? "" : "; \(grouped(empty.count)) without any: \(listed(empty))")
  }

  private func median(of counts: [Int]) -> Int { counts.sorted()[counts.count / 2] }
}
