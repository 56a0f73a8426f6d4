/// Returns the text with control characters escaped, so that it neither ends the line nor changes the terminal.
package func printable(_ text: String) -> String {
  func isControl(_ scalar: Unicode.Scalar) -> Bool { scalar.properties.generalCategory == .control }
  guard text.unicodeScalars.contains(where: isControl) else { return text }
  return text.unicodeScalars.map { isControl($0) ? $0.escaped(asASCII: true) : String($0) }.joined()
}

/// Returns a name from a file in a form for messages: printable, at most 60 characters.
package func shortened(_ name: String) -> String {
  let text = printable(name)
  return text.count <= 60 ? text : text.prefix(59) + "…"
}

/// Name that is compared and sorted by its bytes, as the names of files and folders are.
///
/// `String` treats the Unicode forms of a text as equal, for example the composed é and the decomposed é. File systems do
/// not.
package struct Name: Hashable, Comparable {
  package let text: String

  package init(_ text: String) { self.text = text }

  package static func == (a: Name, b: Name) -> Bool { a.text.utf8.elementsEqual(b.text.utf8) }

  package static func < (a: Name, b: Name) -> Bool { a.text.utf8.lexicographicallyPrecedes(b.text.utf8) }

  package func hash(into hasher: inout Hasher) {
    for byte in text.utf8 { hasher.combine(byte) }
    hasher.combine(text.utf8.count)
  }
}

/// Finds names in a table that another system may have written. A name matches the same bytes. Otherwise it matches the same
/// text in another Unicode form, if that match is unique on both sides.
/// - Returns: the index of each name in the table; nil for a name that is not in the table.
package func places(of names: [String], in table: [String]) -> [Int?] {
  let exact = Dictionary(table.enumerated().map { (Name($1), $0) }) { first, _ in first }
  var places = names.map { exact[Name($0)] }
  let taken = Set(places.compactMap { $0 })
  // The keys are strings, so that all Unicode forms of a text are one key.
  let free = Dictionary(grouping: table.indices.filter { !taken.contains($0) }) { table[$0] }
  let sought = Dictionary(grouping: names.indices.filter { places[$0] == nil }) { names[$0] }
  for (name, indices) in sought {
    if indices.count == 1, let found = free[name], found.count == 1 { places[indices[0]] = found[0] }
  }
  return places
}

/// Returns the names that look like another one: the same text in another Unicode form. Each is spelled in ASCII.
package func lookalikes(among names: [String]) -> [String] {
  Dictionary(grouping: Set(names.map(Name.init)).sorted()) { $0.text }.values.filter { $0.count > 1 }
    .flatMap { $0.map { spelled($0.text) } }.sorted()
}

/// Spells a name in ASCII, for example `caf\u{00E9}`, which shows its Unicode form.
package func spelled(_ name: String) -> String { name.unicodeScalars.map { $0.escaped(asASCII: true) }.joined() }

/// Refuses tensors that could not be told apart by name.
/// - Parameter kind: the kind of the failure if a name is there twice.
/// - Throws: a ``Failure`` that names the file and the tensors.
package func requireDistinctTensors(_ names: [String], in path: String, _ kind: Failure.Kind = .damagedFile) throws {
  var seen: [String: String] = [:]
  for name in names {
    guard let twin = seen.updateValue(name, forKey: name) else { continue }
    if Name(twin) == Name(name) { throw Failure(kind, about: path, "tensor '\(shortened(name))' is there twice") }
    let both = "'\(shortened(spelled(twin)))' and '\(shortened(spelled(name)))'"
    throw Failure(
      .unsupported, about: path, "the names of the tensors \(both) are one text in two Unicode forms",
      remedy: "rename one of them")
  }
}

/// Sorts names that are all numbers, for example `0`, `1`, `10`, `2`, by their values.
/// - Returns: the indices of the names, smallest number first; nil if a name is not a number.
package func orderByNumber(_ names: [String]) -> [Int]? {
  let numbers = names.map { name in name.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(name) : nil }
  let known = numbers.compactMap { $0 }
  guard known.count == names.count else { return nil }
  return known.indices.sorted { (known[$0], $0) < (known[$1], $1) }
}

/// Joins the first names for a message, for example `ant, bee, cat, …`.
package func listed(_ names: [String], atMost count: Int = 5) -> String {
  names.prefix(count).map(shortened).joined(separator: ", ") + (names.count > count ? ", …" : "")
}

/// Splits a text file in UTF-8 into lines, without a byte order mark at its beginning and without line ends.
/// - Returns: nil if the bytes are not valid UTF-8.
package func textLines(_ bytes: [UInt8]) -> [String]? {
  let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
  let rest = bytes.starts(with: mark) ? bytes.dropFirst(mark.count) : bytes[...]
  guard let text = String(validating: rest, as: UTF8.self) else { return nil }
  var lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).map(String.init)
  // A line end after the last line starts no further line.
  if lines.last == "" { lines.removeLast() }
  return lines
}
