import Images
import ResNetKit
import Support
import Training

/// Prints predictions as they arrive, and passes them on to a table and to folders.
struct PredictionReport {
  let images: [ImagePlace]
  let classes: [String]
  /// Form of the output.
  let form: Form
  /// Table to write; nil for none.
  let table: PredictionTable?
  /// Folders to sort the images into; nil for none.
  let sorter: ImageSorter?
  private(set) var counts: PredictionCounts
  /// Images that cannot be decoded.
  let damaged = FailureReport()
  private var isFirst = true

  /// Form in which predictions are printed.
  enum Form {
    case text, json
    /// A summary at the end.
    case counts
  }

  init(_ images: [ImagePlace], classes: [String], as form: Form, table: PredictionTable? = nil, sorter: ImageSorter? = nil) {
    (self.images, self.classes, self.form, self.table, self.sorter) = (images, classes, form, table, sorter)
    counts = PredictionCounts(classes: classes)
  }

  /// Takes one prediction.
  /// - Throws: ``Failure`` if a file cannot be written.
  mutating func add(_ prediction: Prediction) throws {
    let image = images[prediction.sample]
    switch prediction.classes {
    case .failure(let failure):
      damaged.add(failure)
    case .success(let found):
      let (label, probability) = found[0]
      try sorter?.add(image, label: label, probability: probability)
      if sorter?.isUnsure(probability) == true { counts.unsure += 1 } else { counts.ofClass[label] += 1 }
      if form == .text { printText(image.path, found) }
    }
    try table?.add(image.path, prediction.classes)
    if form == .json {
      print(isFirst ? "[" : ",", terminator: "")
      print(describe(image.path, prediction), terminator: "")
    }
    isFirst = false
  }

  func finish() {
    switch form {
    case .text: break
    case .json: print(isFirst ? "[]" : "]")
    case .counts: print(counts.text(showsUnsure: sorter?.hasLimit == true, damaged: damaged.count))
    }
  }

  private func printText(_ path: String, _ found: [(label: Int, probability: Double)]) {
    print(printable(path))
    for (label, probability) in found {
      let percent = fixed(probability * 100, 2)
      print(String(repeating: " ", count: max(0, 8 - percent.count)) + "\(percent) %  \(printable(classes[label]))")
    }
  }

  private func describe(_ path: String, _ prediction: Prediction) -> JSON {
    switch prediction.classes {
    case .success(let found):
      let predictions = found.map { label, probability in
        JSON.members(["class": .string(classes[label]), "label": .integer(label), "probability": .number(probability)])
      }
      return .members(["path": .string(path), "predictions": .array(predictions)])
    case .failure(let failure):
      return .members(["path": .string(path), "error": .string(failure.line)])
    }
  }
}

/// Numbers of images by their predicted class.
struct PredictionCounts {
  /// Number of images of each class, without unsure ones.
  var ofClass: [Int]
  /// Number of images whose class is not probable enough.
  var unsure = 0
  private let classes: [String]

  init(classes: [String]) {
    self.classes = classes
    ofClass = [Int](repeating: 0, count: classes.count)
  }

  /// Table of the classes that occur, with unsure and damaged images below them.
  func text(showsUnsure: Bool, damaged: Int) -> String {
    var table = Table(["class", "images"])
    for (name, count) in zip(classes, ofClass) where count > 0 { table.add([printable(name), grouped(count)]) }
    if showsUnsure { table.add(["(unsure)", grouped(unsure)]) }
    if damaged > 0 { table.add(["(damaged)", grouped(damaged)]) }
    return table.text
  }
}

/// CSV table of predictions: a row for each image with its path, its classes with their probabilities, and the reason if it
/// cannot be decoded.
struct PredictionTable {
  private let output: AtomicFile.Output
  private let classes: [String]
  private let count: Int

  /// Writes the header.
  /// - Parameter count: number of classes for each image.
  init(_ output: AtomicFile.Output, classes: [String], top count: Int) throws {
    (self.output, self.classes, self.count) = (output, classes, min(count, classes.count))
    try write(["path"] + (1...self.count).flatMap { ["class_\($0)", "probability_\($0)"] } + ["error"])
  }

  func add(_ path: String, _ found: Result<[(label: Int, probability: Double)], Failure>) throws {
    switch found {
    case .success(let found):
      try write([path] + found.flatMap { [classes[$0.label], "\($0.probability)"] } + [""])
    case .failure(let failure):
      try write([path] + [String](repeating: "", count: 2 * count) + [failure.line])
    }
  }

  private func write(_ fields: [String]) throws { try Array(CSV.row(fields).utf8).withUnsafeBytes(output.write) }
}
