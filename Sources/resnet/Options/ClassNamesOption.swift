import ArgumentParser
import Compute
import Formats
import Support

/// Option `--class-names`, for the commands that read weights, as these may not name their classes.
struct ClassNamesOption: ParsableArguments {
  /// Maximum number of bytes of a class name; longer text is not a name.
  private static let longestName = 1000

  @Option(
    help: ArgumentHelp(
      "Text file with the class names, one a line in the order of the outputs, if the weights do not contain them.",
      valueName: "file.txt"),
    completion: .file())
  var classNames: String?

  func validate() throws { try requirePaths(["--class-names": classNames]) }

  /// Returns the names in the file; nil if no file was given. Standard error reports names that replace others.
  /// - Parameters:
  ///   - count: number of classes.
  ///   - known: class names of the weights; nil if the weights have none.
  ///   - path: file of the weights.
  /// - Throws: ``Failure`` if the file cannot be read or does not hold a name for each class.
  func names(ofClasses count: Int, insteadOf known: [String]?, of path: String) throws -> [String]? {
    let names = try names(ofClasses: count)
    if let names, let known, known.map(Name.init) != names.map(Name.init) {
      printError("\(path) calls its classes \(listed(known)): --class-names calls them \(listed(names))")
    }
    return names
  }

  /// Returns the names in the file; nil if no file was given.
  /// - Parameter count: the number of classes.
  /// - Throws: ``Failure`` if the file cannot be read or does not hold a name for each class.
  private func names(ofClasses count: Int) throws -> [String]? {
    guard let path = classNames else { return nil }
    let file = try InputFile(path)
    guard file.byteCount <= count * (Self.longestName + 2) else {
      throw Failure(
        .damagedFile,
        "\(path) has \(grouped(file.byteCount)) bytes, too many to be the names of \(grouped(count)) classes")
    }
    guard var names = textLines(try file.read()) else {
      throw Failure(.damagedFile, "\(path) is not a text file in UTF-8: one class name a line is needed")
    }
    while names.count > count, names.last?.allSatisfy(\.isWhitespace) == true { names.removeLast() }
    guard names.count == count else {
      throw Failure(
        .mismatch,
        "\(path) names \(grouped(names.count)) classes, one a line, and the network has \(grouped(count))")
    }
    if let line = names.firstIndex(where: { $0.allSatisfy(\.isWhitespace) }) {
      throw Failure(.damagedFile, about: path, "line \(line + 1) is empty, and class \(line) needs a name")
    }
    return names
  }
}
