/// Names of files that are made of images and classes, whatever these are called.
enum FileNames {
  /// Calls `body` with the path of the name, then with numbers behind it, until it returns true.
  static func withFreeName(_ name: String, in folder: String, _ body: (String) throws -> Bool) throws {
    if try body("\(folder)/\(name)") { return }
    let dot = name.lastIndex(of: ".").flatMap { $0 == name.startIndex ? nil : $0 } ?? name.endIndex
    var number = 2
    while try !body("\(folder)/\(name[..<dot])_\(number)\(name[dot...])") { number += 1 }
  }

  /// Returns a valid name for a file that is made of an image: the last part of the image's path.
  static func name(ofImage path: String) -> String { valid(path.split(separator: "/").last.map(String.init) ?? "") }

  /// Most bytes of a name, which leaves room for a number within the 255 of file systems.
  private static let longestName = 240

  /// Returns a valid name of a visible file: slashes and control characters become underscores, and a long name is cut.
  static func valid(_ text: String) -> String {
    let safe = text.unicodeScalars.map { $0 == "/" || $0.properties.generalCategory == .control ? "_" : String($0) }.joined()
    return cut(safe.isEmpty || safe.first == "." ? "_\(safe)" : safe, to: longestName)
  }

  /// Joins valid parts of a name. If the name is long, the first part loses its end, and then the other part.
  static func joined(_ stem: String, _ ending: String) -> String {
    var rest = ending
    while rest.utf8.count > longestName / 2 { rest.removeFirst() }
    return cut(stem, to: longestName - rest.utf8.count) + rest
  }

  private static func cut(_ name: String, to count: Int) -> String {
    var name = name
    while name.utf8.count > count { name.removeLast() }
    return name
  }
}
