import Support
import Training

/// The confusion matrix of a validation as a picture.
struct ConfusionFigure {
  let evaluation: Evaluation
  /// End of the name of the file, which tells runs apart.
  let suffix: String

  /// Most classes that are all shown, and number of classes that are shown of more: those that are confused most often.
  private static let (mostClasses, shownOfMore) = (25, 20)
  /// Most classes that can be read in the width of a telephone.
  private static let classesOnTelephone = 12

  private var shown: [Int] {
    let all = Array(evaluation.classes.indices)
    if all.count <= Self.mostClasses { return all }
    var shown: [Int] = []
    for pair in evaluation.confusedPairs {
      for label in [pair.label, pair.prediction] where !shown.contains(label) && shown.count < Self.shownOfMore {
        shown.append(label)
      }
    }
    return shown.sorted()
  }

  /// The figure; nil if there is nothing to show.
  var figure: ReportFigure? {
    let (shown, records) = (shown, evaluation.perClass)
    guard !shown.isEmpty else { return nil }
    let names = shown.map { evaluation.classes[$0] }
    let digits = shown.flatMap { label in shown.map { String(evaluation[label, $0]).count } }.max() ?? 1
    let left = evaluation.classes.count - shown.count
    let fits = shown.count <= Self.classesOnTelephone
    let rest =
      left > 0
      ? " Of \(grouped(evaluation.classes.count)) classes, these \(shown.count) are confused most often." : ""
    return ReportFigure(
      name: "confusion\(suffix)",
      svg: CellFigure(
        title: "Confusion matrix", rows: names, columns: names, rowAxis: "class", columnAxis: "taken for",
        cells: cells(shown, records.map(\.images)), cellSize: (max(fits ? 34 : 26, 7 * Double(digits) + 10), fits ? 30 : 26)
      ).svg,
      caption: "A row has the images of one class, a column those that were taken for one class. Blue images were classified "
        + "rightly, orange ones wrongly.\(rest)", isWide: !fits)
  }

  /// - Parameter images: number of images of each class.
  private func cells(_ shown: [Int], _ images: [Int]) -> [CellFigure.Cell] {
    func share(_ label: Int, _ prediction: Int) -> Double {
      Double(evaluation[label, prediction]) / Double(max(1, images[label]))
    }
    let wrong = shown.flatMap { label in shown.filter { $0 != label }.map { share(label, $0) } }.max() ?? 0
    return shown.enumerated().flatMap { row, label in
      shown.enumerated().compactMap { column, prediction in
        let count = evaluation[label, prediction]
        guard count > 0 else { return nil }
        let share = share(label, prediction)
        let isRight = label == prediction
        return CellFigure.Cell(
          row: row, column: column, shade: isRight ? share : 0.85 * (share / max(wrong, 1e-9)).squareRoot(),
          color: isRight ? 0 : 1, label: String(count),
          tip: "\(evaluation.classes[label]) taken for \(evaluation.classes[prediction]): \(grouped(count)) of "
            + "\(grouped(images[label])) (\(percentText(share)))")
      }
    }
  }
}
