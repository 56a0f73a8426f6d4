/// Characters of a line of progress.
package struct LineStyle: Sendable {
  /// Pictures of the sign of life, in turns.
  package let spinner: [String]
  /// Signs of a value that falls, rises or stays.
  package let falling, rising, level: String
  /// Filled and empty parts of a bar, and its ends.
  let full, empty, left, right: String

  package static let unicode = LineStyle(
    spinner: ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧"], falling: "↓", rising: "↑", level: "→", full: "█", empty: "░", left: "",
    right: "")
  package static let ascii = LineStyle(
    spinner: ["|", "/", "-", "\\"], falling: "v", rising: "^", level: "=", full: "#", empty: ".", left: "[", right: "]")

  /// Chooses the characters that the user's locale can show.
  /// - Parameter environment: variables of the process. The first one of `LC_ALL`, `LC_CTYPE` and `LANG` that is not empty
  ///   counts, as for every program.
  package init(_ environment: [String: String]) {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].compactMap { environment[$0] }.first { !$0.isEmpty } ?? ""
    let name = locale.lowercased()
    self = name.contains("utf-8") || name.contains("utf8") ? .unicode : .ascii
  }

  private init(
    spinner: [String], falling: String, rising: String, level: String, full: String, empty: String, left: String, right: String
  ) {
    (self.spinner, self.falling, self.rising, self.level) = (spinner, falling, rising, level)
    (self.full, self.empty, self.left, self.right) = (full, empty, left, right)
  }

  /// Smallest and largest number of columns of a bar.
  private static let (smallestBar, largestBar) = (8, 30)

  /// Composes a line that fits on a terminal. Fields are left out from the right until it fits. Columns that are left are for a
  /// bar after the first field. The last column stays free, because some terminals wrap a line that reaches it.
  /// - Parameters:
  ///   - frame: number of the picture of the sign of life.
  ///   - fields: texts in the order of their importance.
  ///   - fraction: part of the bar that is filled, 0 to 1; nil for no bar.
  ///   - width: number of columns of the terminal; 0 if it is not known, which counts as 80.
  package func line(frame: Int, _ fields: [String], fraction: Double?, width: Int) -> String {
    let limit = (width == 0 ? 80 : width) - 1
    guard limit > 0 else { return "" }
    let life = spinner[abs(frame % spinner.count)]
    var kept: [String] = []
    var used = columns(of: life)
    for field in fields {
      let needed = columns(of: field) + (kept.isEmpty ? 1 : 2)
      if used + needed > limit { break }
      kept.append(field)
      used += needed
    }
    guard let first = kept.first else { return cut("\(life) \(fields.first ?? "")", toColumns: limit) }
    let room = limit - used - 2
    if let fraction, room >= Self.smallestBar { kept[0] = "\(first)  \(bar(fraction, width: min(Self.largestBar, room)))" }
    return "\(life) \(kept.joined(separator: "  "))"
  }

  private func bar(_ fraction: Double, width: Int) -> String {
    let cells = width - columns(of: left) - columns(of: right)
    let filled = fraction.isFinite ? Int((min(1, max(0, fraction)) * Double(cells)).rounded(.down)) : 0
    return left + String(repeating: full, count: filled) + String(repeating: empty, count: cells - filled) + right
  }
}

/// Breaks a line between its fields, so that no row is longer than the terminal. Further rows are indented.
/// - Parameters:
///   - fields: texts that are all shown.
///   - optional: texts that are shown if they fit into the last row.
///   - width: number of columns of the terminal; 0 if it is not known, which counts as 80.
package func flowed(_ fields: [String], optional: [String] = [], width: Int) -> String {
  let limit = (width == 0 ? 80 : width) - 1
  var (rows, used) = ([[String]](), 0)
  for field in fields {
    let needed = columns(of: field) + 2
    if let last = rows.indices.last, used + needed <= limit {
      rows[last].append(field)
      used += needed
    } else {
      rows.append([field])
      used = needed - (rows.count == 1 ? 2 : 0)
    }
  }
  for field in optional {
    guard let last = rows.indices.last, used + columns(of: field) + 2 <= limit else { break }
    rows[last].append(field)
    used += columns(of: field) + 2
  }
  return rows.map { $0.joined(separator: "  ") }.joined(separator: "\n  ")
}
