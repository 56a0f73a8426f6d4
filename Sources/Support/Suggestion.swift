/// Finds the name that was probably meant: the only name that begins with the text, or else the nearest name.
///
/// A name counts as near if at most a third of its characters differ, and never more than three. Upper and lower case are the
/// same, and dashes at the beginning do not count.
/// - Parameter text: the unknown name.
/// - Returns: nil if no name is near.
package func nearest(to text: String, among names: [String]) -> String? {
  func letters(_ name: String) -> [Character] { Array(name.lowercased().drop { $0 == "-" }) }
  let sought = letters(text)
  let longer = names.filter { letters($0).starts(with: sought) }
  if sought.count >= 3, longer.count == 1 { return longer[0] }
  var best: (name: String, distance: Double)?
  for name in names {
    let candidate = letters(name)
    let limit = Double(min(3, max(sought.count, candidate.count) / 3))
    // Each character that is missing or too many costs a half at least.
    guard Double(abs(sought.count - candidate.count)) / 2 <= limit else { continue }
    let distance = editDistance(sought, candidate)
    // A name of which every character differs is not near, however short it is.
    guard distance <= limit, distance < Double(min(sought.count, candidate.count)) else { continue }
    if distance < best?.distance ?? .infinity { best = (name, distance) }
  }
  return best?.name
}

/// Returns the weighted distance of Damerau and Levenshtein, without changes of letters that were swapped (optimal string
/// alignment).
///
/// An insertion, a deletion, a substitution and a swap of neighbors cost 1 each. Characters that look alike, and separators that
/// are missing or too many, cost a half.
package func editDistance(_ a: [Character], _ b: [Character]) -> Double {
  var rows = [[Double]](repeating: [], count: a.count + 1)
  rows[0] = b.reduce(into: [0]) { $0.append($0[$0.count - 1] + cost(of: $1)) }
  for i in a.indices {
    rows[i + 1] = [rows[i][0] + cost(of: a[i])]
    for j in b.indices {
      var least = min(
        rows[i][j] + cost(of: a[i], b[j]), rows[i][j + 1] + cost(of: a[i]), rows[i + 1][j] + cost(of: b[j]))
      if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { least = min(least, rows[i - 1][j - 1] + 1) }
      rows[i + 1].append(least)
    }
  }
  return rows[a.count][b.count]
}

private let separators: Set<Character> = ["-", "_", ".", " "]
private let lookAlikes: [Set<Character>] = [["o", "0"], ["l", "1", "i"], ["s", "5"], ["b", "8"], ["z", "2"], separators]

/// Returns the cost of a character that is missing or too many.
private func cost(of character: Character) -> Double { separators.contains(character) ? 0.5 : 1 }

/// Returns the cost of a character in place of another one.
private func cost(of a: Character, _ b: Character) -> Double {
  if a == b { return 0 }
  return lookAlikes.contains { $0.contains(a) && $0.contains(b) } ? 0.5 : 1
}
