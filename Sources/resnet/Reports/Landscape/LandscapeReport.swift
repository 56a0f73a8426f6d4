import Support
import Training

/// Results of `landscape`: files and texts.
struct LandscapeReport {
  /// Landscape of one checkpoint.
  struct Entry {
    /// File of the weights, and name of the network.
    let path, network: String
    let landscape: LossLandscape
  }

  let entries: [Entry]
  let seed: UInt64

  /// Files in the folder of the results.
  static let (table, contours, surface) = ("landscape.csv", "contours.svg", "surface.svg")
  static let files = [contours, surface, table]

  /// Writes all files into a folder.
  /// - Throws: ``Failure`` if a file cannot be written.
  func write(to folder: String) throws {
    let scale = LossScale(entries.flatMap(\.landscape.losses))
    let panels = zip(names, entries).map { LandscapePanel(name: $0, landscape: $1.landscape) }
    try AtomicFile.write(csv, to: "\(folder)/\(Self.table)")
    try AtomicFile.write(ContourChart(panels, scale).svg, to: "\(folder)/\(Self.contours)")
    try AtomicFile.write(SurfaceChart(panels, scale).svg, to: "\(folder)/\(Self.surface)")
  }

  /// Names of the panels: the networks. Where two have the same name, the ends of the paths that tell all files apart.
  private var names: [String] {
    let networks = entries.map(\.network)
    guard Set(networks).count < networks.count else { return networks }
    let paths = entries.map { $0.path.split(separator: "/") }
    let longest = paths.map(\.count).reduce(1, max)
    let length = (1..<longest).first { length in Set(paths.map { $0.suffix(length) }).count == Set(paths).count } ?? longest
    return paths.map { $0.suffix(length).joined(separator: "/") }
  }

  /// Table with a row for each point: x and y are the factors of both directions.
  private var csv: String {
    CSV.row(["checkpoint", "network", "x", "y", "loss", "accuracy"])
      + entries.map { entry in
        let (landscape, offsets) = (entry.landscape, entry.landscape.offsets)
        return offsets.indices.map { row in
          offsets.indices.map { column in
            let point = landscape[row, column]
            return CSV.row([
              entry.path, entry.network, "\(offsets[column])", "\(offsets[row])", "\(point.loss)", "\(point.top1)",
            ])
          }.joined()
        }.joined()
      }.joined()
  }

  var json: JSON {
    .members([
      "seed": Int(exactly: seed).map(JSON.integer) ?? .number(Double(seed)),
      "landscapes": .array(
        entries.map { entry in
          let (landscape, offsets) = (entry.landscape, entry.landscape.offsets)
          func rows(_ value: KeyPath<Metrics, Double>) -> JSON {
            .array(
              offsets.indices.map { row in .array(offsets.indices.map { .number(landscape[row, $0][keyPath: value]) }) })
          }
          return .members([
            "checkpoint": .string(entry.path), "network": .string(entry.network), "images": .integer(landscape.center.images),
            "loss": .number(landscape.center.loss), "accuracy": .number(landscape.center.top1),
            "offsets": .array(offsets.map(JSON.number)), "losses": rows(\.loss), "accuracies": rows(\.top1),
          ])
        }),
    ])
  }

  /// Table for a terminal.
  var text: String {
    var table = Table(["checkpoint", "network", "images", "loss", "lowest", "highest"])
    for entry in entries {
      let (losses, center) = (entry.landscape.losses, entry.landscape.center)
      // Infinite losses and NaN are the highest.
      let lowest = losses.filter(\.isFinite).min() ?? center.loss
      let highest = losses.first { !$0.isFinite } ?? losses.max() ?? center.loss
      table.add([printable(entry.path), entry.network, grouped(center.images)] + [center.loss, lowest, highest].map(lossText))
    }
    return table.text
  }
}
