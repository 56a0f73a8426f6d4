import ArgumentParser
import Compute
import Formats

/// `--class-names`, of the commands that read weights which may not name their classes.
struct ClassNamesOption: ParsableArguments {
  /// Longer names are no names.
  private static let longestName = 1000

  @Option(
    help: ArgumentHelp(
      "The names of the classes, where the weights do not tell them: a text file with one a line, in the order of the outputs.",
      valueName: "file.txt"))
  var classNames: String?

  func validate() throws { try requirePaths(["--class-names": classNames]) }

  /// The names in the file; nil where none was given. Standard error tells where they replace others.
  /// - Parameters:
  ///   - count: the number of classes.
  ///   - known: what the weights call their classes; nil where they do not tell.
  ///   - path: the file of the weights.
  /// - Throws: ``Failure`` where the file cannot be read or does not hold a name for each class.
  func names(ofClasses count: Int, insteadOf known: [String]?, of path: String) throws -> [String]? {
    let names = try names(ofClasses: count)
    if let names, let known, known.map(Name.init) != names.map(Name.init) {
      printError("\(path) calls its classes \(listed(known)): --class-names calls them \(listed(names))")
    }
    return names
  }

  /// The names in the file; nil where none was given.
  /// - Parameter count: the number of classes.
  /// - Throws: ``Failure`` where the file cannot be read or does not hold a name for each class.
  private func names(ofClasses count: Int) throws -> [String]? {
    guard let path = classNames else { return nil }
    let file = try InputFile(path)
    guard file.byteCount <= count * (Self.longestName + 2) else {
      throw Failure("\(path) has \(grouped(file.byteCount)) bytes, too many to be the names of \(grouped(count)) classes")
    }
    guard var names = textLines(try file.read()) else {
      throw Failure("\(path) is not a text file in UTF-8: one class name a line is needed")
    }
    while names.count > count, names.last?.allSatisfy(\.isWhitespace) == true { names.removeLast() }
    guard names.count == count else {
      throw Failure(
        "\(path) names \(grouped(names.count)) classes, one a line, and the network has \(grouped(count))")
    }
    if let line = names.firstIndex(where: { $0.allSatisfy(\.isWhitespace) }) {
      throw Failure("\(path): line \(line + 1) is empty, and class \(line) needs a name")
    }
    return names
  }
}
