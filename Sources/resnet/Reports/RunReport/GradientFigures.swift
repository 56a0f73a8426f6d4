import Glibc
import Training

/// The norms of a run's gradients over its epochs.
struct GradientFigures {
  let layers: [LayerRecord]
  /// End of the names of the files, which tells runs apart.
  let suffix: String

  /// Most rows and columns of the map.
  private static let (mostRows, mostColumns) = (60, 40)

  var figures: [ReportFigure] { layers.isEmpty ? [] : [curves] + (layers.count > 1 ? [map] : []) }

  /// A curve for each part of the network.
  private var curves: ReportFigure {
    let norms = layers.map { groups($0, by: Self.stage) }
    let names = norms.first?.map(\.name) ?? []
    let series = names.map { name in
      LineChart.Series(
        name, zip(layers, norms).map { layer, norms in (Double(layer.epoch), norms.first { $0.name == name }?.norm ?? .nan) },
        hasMarkers: layers.count == 1)
    }
    return ReportFigure(
      name: "gradients\(suffix)",
      svg: LineChart(
        "Gradients by part of the network", x: .init("epoch"), y: .init("norm of the gradient", .logarithmic), series
      ).reportSVG, caption: "Euclidean norm of the gradient in the last step of each epoch, before it is clipped.")
  }

  /// A map with a row for each convolution and for the last layer, or for each block if there are too many.
  private var map: ReportFigure {
    let kept = layers.enumerated().filter { index, _ in
      let every = (layers.count + Self.mostColumns - 1) / Self.mostColumns
      return (layers.count - 1 - index) % every == 0
    }.map(\.element)
    let depths: [(String) -> String?] = [Self.weight, Self.block, Self.stage]
    let grouping = depths.first { name in (kept.first.map { groups($0, by: name).count } ?? 0) <= Self.mostRows } ?? Self.stage
    let norms = kept.map { groups($0, by: grouping) }
    let names = norms.first?.map(\.name) ?? []
    let logarithms = norms.flatMap { $0.map { log10($0.norm) } }.filter(\.isFinite)
    let (low, high) = (logarithms.min() ?? 0, logarithms.max() ?? 1)
    let cells = norms.enumerated().flatMap { column, values in
      values.enumerated().map { row, value in
        let shade = (log10(value.norm) - low) / max(high - low, 1e-9)
        return CellFigure.Cell(
          row: row, column: column, shade: 0.06 + 0.94 * shade, color: 0, label: "",
          tip: "\(value.name), epoch \(kept[column].epoch): \(short(value.norm, digits: 3))")
      }
    }
    let every = max(1, (kept.count + 9) / 10)
    let heatMap = CellFigure(
      title: "Gradients by layer", rows: names,
      columns: kept.enumerated().map { $0 % every == 0 ? String($1.epoch) : "" }, rowAxis: "layer", columnAxis: "epoch",
      cells: cells, cellSize: (min(80, max(9, 400 / Double(kept.count))), names.count > 24 ? 15 : 20), slantsColumns: false)
    return ReportFigure(
      name: "gradients-by-layer\(suffix)", svg: heatMap.svg,
      caption: "The stronger the color, the larger the norm: from \(short(pow(10, low), digits: 2)) to "
        + "\(short(pow(10, high), digits: 2)), on a logarithmic scale.")
  }

  /// Joins the norms of parameters that have the same name: the root of the sum of squares.
  /// - Parameter name: name of a parameter's group; nil for a parameter that is left out.
  private func groups(_ record: LayerRecord, by name: (String) -> String?) -> [(name: String, norm: Double)] {
    var (names, squares) = ([String](), [String: Double]())
    for parameter in record.parameters {
      guard let group = name(parameter.name) else { continue }
      if squares[group] == nil { names.append(group) }
      squares[group, default: 0] += parameter.gradient * parameter.gradient
    }
    return names.map { ($0, (squares[$0] ?? 0).squareRoot()) }
  }

  /// Part of the network, for example `layer1`; the first batch normalization belongs to the first convolution.
  private static func stage(_ name: String) -> String? {
    let first = name.prefix { $0 != "." }
    return first == "bn1" ? "conv1" : String(first)
  }

  /// Block of the network, for example `layer1.0`.
  private static func block(_ name: String) -> String? {
    let parts = name.split(separator: ".")
    return parts.count > 2 ? parts[..<2].joined(separator: ".") : stage(name)
  }

  /// Layer with a weight matrix or filters, for example `layer1.0.conv1`; nil for batch normalization and for biases.
  private static func weight(_ name: String) -> String? {
    let parts = name.split(separator: ".")
    guard parts.last == "weight", !parts.contains(where: { $0.hasPrefix("bn") }), !name.hasSuffix("downsample.1.weight") else {
      return nil
    }
    return parts.dropLast().joined(separator: ".")
  }
}
