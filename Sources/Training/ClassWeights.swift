import Datasets
import Support

/// Weights of the classes in the training loss, for classes with uneven numbers of images. The loss of a validation or an
/// evaluation has none.
///
/// ```swift
/// let session = try TrainingSession("resnet18", on: .folder("flowers")) { run in
///   run.classWeights = .balanced
/// }
/// ```
public enum ClassWeights: Hashable, Sendable {
  /// N / (K·n), for N training images of K classes and n of the class, as scikit-learn's `compute_class_weight("balanced")`. A
  /// class without images has the weight 0 and does not count in K.
  case balanced
  /// A weight for each class, at least 0, in the order of the labels.
  case values([Double])

  /// Returns the weight of each class of a network, and a note about them for users.
  /// - Parameters:
  ///   - images: training images, whose labels are numbers of their classes.
  ///   - count: number of classes of the network, at least that of the images.
  func values(for images: any ImageSource, classes count: Int) -> (values: [Double], note: String) {
    let counts = images.classCounts + [Int](repeating: 0, count: count - images.classes.count)
    let values: [Double]
    switch self {
    case .values(let known): values = known
    case .balanced:
      let (total, classes) = (Double(counts.reduce(0, +)), Double(counts.filter { $0 > 0 }.count))
      values = counts.map { $0 == 0 ? 0 : total / (classes * Double($0)) }
    }
    return (values, Self.note(values, counts, names: images.classes))
  }

  /// Checks the values.
  /// - Throws: ``Failure`` if one is negative or not finite, or if none is above 0.
  func validate() throws {
    guard case .values(let values) = self else { return }
    // The loss is computed in float32, whose largest number is 3.4e38; sums of such weights must be finite, too.
    for (label, value) in values.enumerated() {
      try demand(
        value.isFinite && (0...1e30).contains(value), .classWeights, value, "that of class \(label) must be from 0 to 1e30")
    }
    guard values.contains(where: { Float($0) > 0 }) else {
      throw Failure(.invalidSetting, "\(Setting.classWeights): all are 0, and one above it is needed")
    }
  }

  /// Checks that there is a weight for each class.
  /// - Throws: ``Failure`` if there is not.
  func check(classes count: Int) throws {
    guard case .values(let values) = self, values.count != count else { return }
    throw Failure(
      .mismatch, "\(Setting.classWeights): \(grouped(values.count)) weights for \(grouped(count)) classes",
      remedy: "state one for each class")
  }

  /// Returns a note about the weights for users.
  /// - Parameters:
  ///   - values: weight of each class of the network.
  ///   - counts: number of training images of each of them.
  ///   - names: names of the classes of the data set, the first of the network's; at least one.
  private static func note(_ values: [Double], _ counts: [Int], names: [String]) -> String {
    let sorted = names.indices.sorted { (values[$0], $0) < (values[$1], $1) }
    func named(_ label: Int) -> String { "\(shortened(names[label])) \(Float(values[label]))" }
    let shown =
      names.count <= 10
      ? names.indices.map(named).joined(separator: ", ")
      : "smallest \(named(sorted[0])), largest \(named(sorted[sorted.count - 1]))"
    let empty = names.indices.filter { counts[$0] == 0 && values[$0] == 0 }.map { names[$0] }
    return "weights of the classes in the loss: \(shown)"
      + (empty.isEmpty ? "" : "; 0 as there are no images of them: \(listed(empty))")
  }
}

/// `"balanced"`, or an array of numbers.
extension ClassWeights: Codable {
  private static let balancedName = "balanced"

  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let name = try? container.decode(String.self) {
      guard name == Self.balancedName else {
        throw DecodingError.dataCorruptedError(in: container, debugDescription: "no such weights")
      }
      self = .balanced
    } else {
      self = .values(try container.decode([Double].self))
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .balanced: try container.encode(Self.balancedName)
    case .values(let values): try container.encode(values)
    }
  }
}

/// Reading of a file of weights.
extension ClassWeights {
  /// Maximum number of bytes of a line.
  private static let longestLine = 1000

  /// Reads a CSV file: lines `class,weight` that name each class once, in any order, perhaps below a line `class,weight`; or one
  /// number a line in the order of the classes.
  /// - Parameter classes: names of the classes in the order of the labels.
  /// - Throws: ``Failure`` that names the line and the class, for a file that does not hold a weight for each class.
  public init(contentsOf path: String, classes: [String]) throws {
    let file = try InputFile(path)
    guard file.byteCount <= (classes.count + 2) * Self.longestLine else {
      throw Failure(
        .damagedFile, about: path,
        "\(grouped(file.byteCount)) bytes are too many for the weights of \(grouped(classes.count)) classes")
    }
    let rows = try CSV.rows(of: file).filter { !$0.fields.allSatisfy { $0.allSatisfy(\.isWhitespace) } }
    func weight(_ text: String, _ line: Int, _ name: String) throws -> Double {
      guard let value = Double(text.filter { !$0.isWhitespace }), value.isFinite, value >= 0 else {
        throw Failure(
          .invalidSetting, about: path,
          "line \(line): '\(shortened(text))' is no weight of the class '\(shortened(name))': a number from 0 is needed")
      }
      return value
    }
    guard let first = rows.first, first.fields.count > 1 else {
      guard rows.count == classes.count else {
        throw Failure(
          .mismatch, about: path,
          "\(grouped(rows.count)) weights, one a line, for \(grouped(classes.count)) classes: \(listed(classes))")
      }
      self = .values(try zip(rows, classes).map { try weight($0.fields.joined(separator: ","), $0.line, $1) })
      return
    }
    let isHeader = first.fields.map { $0.filter { !$0.isWhitespace }.lowercased() } == ["class", "weight"]
    var values = [Double?](repeating: nil, count: classes.count)
    for row in rows.dropFirst(isHeader ? 1 : 0) {
      guard row.fields.count > 1, let text = row.fields.last else {
        throw Failure(
          .damagedFile, about: path,
          "line \(row.line): '\(shortened(row.fields[0]))' is not a class and its weight, class,weight")
      }
      // Commas of a name need no quotes, as the weight is last.
      let name = row.fields.dropLast().joined(separator: ",")
      guard let label = places(of: [name], in: classes)[0] else {
        let hint = nearest(to: name, among: classes).map { "; the nearest is '\(shortened($0))'" } ?? ""
        throw Failure(.notFound, about: path, "line \(row.line): there is no class '\(shortened(name))'\(hint)")
      }
      guard values[label] == nil else {
        throw Failure(.invalidSetting, about: path, "line \(row.line): the class '\(shortened(name))' has a weight already")
      }
      values[label] = try weight(text, row.line, name)
    }
    if let missing = values.firstIndex(of: nil) {
      throw Failure(
        .notFound, about: path, "no line for the class '\(shortened(classes[missing]))'", remedy: "give it a weight, perhaps 1")
    }
    self = .values(values.compactMap { $0 })
  }
}
