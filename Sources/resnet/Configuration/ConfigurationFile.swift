import ArgumentParser
import Foundation
import Support
import Yams

/// Options of `resnet train` in YAML: a mapping from the long names of options, without dashes, to their values.
///
/// A flag has `true` or `false`. An option that may be repeated has a list, or a mapping where it takes `name=value`.
struct ConfigurationFile {
  /// An option with its values, as arguments of the command line.
  struct Entry {
    /// Name of the option, for example `--batch-size`.
    let option: String
    let arguments: [String]
    /// Place for messages, for example `run.yaml:3`.
    let place: String
  }

  let entries: [Entry]

  /// Options that are no settings of a run.
  static let excluded: Set = [
    "config", "recipe", "print-config", "resume", "allow-config-change", "allow-data-change", "show-augmentation", "find-rate",
    "help", "help-hidden", "version",
  ]

  /// Parses YAML.
  /// - Parameter name: path of the file or name of the recipe, for messages.
  /// - Throws: a usage error that names file and line, for text that is not YAML, unknown options and values of a wrong form.
  init(_ text: String, name: String) throws {
    let root: Node?
    do { root = try Yams.compose(yaml: text) } catch let error as YamlError { throw Self.complaint(error, name) }
    guard let root else {
      entries = []  // Nothing but comments.
      return
    }
    guard let mapping = root.mapping else {
      throw usageError("\(name): it is no mapping of options to values, for example 'epochs: 10'")
    }
    let command = HelpDump.root.command(named: ["train"])
    entries = try mapping.map { key, value in
      let place = "\(name):\(key.mark?.line ?? 1)"
      guard let word = key.scalar?.string else { throw usageError("\(place): a key must be the name of an option") }
      let option = "--\(word)"
      guard let argument = command.argument(option), !Self.excluded.contains(word), word.count > 1 else {
        throw usageError("\(place): \(Self.unknown(word, of: command))")
      }
      let arguments = try Self.arguments(option, argument, value, of: command) { problem in
        usageError("\(place): \(word) \(problem)")
      }
      return Entry(option: option, arguments: arguments, place: place)
    }
  }

  /// Returns the arguments that give an option its values.
  private static func arguments(
    _ option: String, _ argument: HelpDump.Argument, _ value: Node, of command: HelpDump.Command,
    _ complaint: (Message) -> ExitCode
  ) throws -> [String] {
    if argument.kind == .flag {
      guard let isOn = value.bool else { throw complaint("is a flag: true or false is needed") }
      if isOn { return [option] }
      let opposite = option.hasPrefix("--no-") ? "--\(option.dropFirst(5))" : "--no-\(option.dropFirst(2))"
      return command.argument(opposite) == nil ? [] : [opposite]
    }
    func text(_ node: Node) throws -> String {
      guard let scalar = node.scalar, node.null == nil else { throw complaint("needs a value") }
      // No shell replaces the home folder in a file.
      let home = scalar.string.hasPrefix("~/") ? ProcessInfo.processInfo.environment["HOME"] : nil
      return home.map { $0 + scalar.string.dropFirst() } ?? scalar.string
    }
    let values: [String] =
      if let sequence = value.sequence {
        try sequence.map(text)
      } else if let mapping = value.mapping, argument.isRepeating {
        try mapping.map { "\(try text($0.key))=\(try text($0.value))" }
      } else {
        [try text(value)]
      }
    if argument.isRepeating { return values.map { "\(option)=\($0)" } }
    guard !values.isEmpty else { throw complaint("needs a value") }
    return ["\(option)=\(values.joined(separator: ","))"]
  }

  private static func unknown(_ word: String, of command: HelpDump.Command) -> Message {
    if excluded.contains(word) { return "'\(word)' is no setting of a run: give it on the command line" }
    if let answer = ForeignNames.answer(to: "--\(word)", of: command) { return Message("unknown key '\(word)': \(answer)") }
    let names = command.options.map { String($0.dropFirst(2)) }.filter { !excluded.contains($0) }
    let hint = nearest(to: word, among: names).map { "; the nearest is '\($0)'" } ?? ""
    return "unknown key '\(word)'\(hint): keys are the long names of options, which resnet train --help lists"
  }

  private static func complaint(_ error: YamlError, _ name: String) -> ExitCode {
    switch error {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _), .composer(_, let problem, let mark, _):
      return usageError("\(name):\(mark.line): this is not YAML: \(problem)")
    case .duplicatedKeysInMapping(let duplicates, _):
      return usageError("\(name): \(listed(duplicates.sorted())) is there twice")
    default:
      let line = "\(error)".split(separator: "\n").first.map(String.init) ?? "damaged"
      return usageError("\(name): this is not YAML: \(line)")
    }
  }
}

/// Arguments of the program, with the options of `--config` and `--recipe` put in.
struct ExpandedArguments {
  /// The arguments for the parser.
  let arguments: [String]
  /// Options that come from files, with the places where they stand.
  private let origins: [(option: String, place: String)]

  /// Reads the files that the arguments name. Options of the command line replace those of the file, and these those of the
  /// recipe. With `--resume`, the arguments stay as they are, because the parser refuses other options then.
  /// - Throws: ``Failure`` for a file that cannot be read; a usage error for what makes no sense in it.
  init(_ arguments: [String]) throws {
    let given = GivenArguments(arguments)
    guard let given, !given.has("--resume") else {
      (self.arguments, origins) = (arguments, [])
      return
    }
    var files: [ConfigurationFile] = []
    if let name = given.value("--recipe"), let recipe = Recipe(rawValue: name) {
      files.append(try ConfigurationFile(recipe.text, name: "recipe \(name)"))
    }
    if let path = given.value("--config"), !path.isEmpty {
      guard let text = textLines(try InputFile(path).read())?.joined(separator: "\n") else {
        throw Failure(.damagedFile, "\(path) is not a text file in UTF-8")
      }
      files.append(try ConfigurationFile(text, name: path))
    }
    var taken = Set(given.options.map { Self.base($0.name) })
    var kept: [ConfigurationFile.Entry] = []
    for file in files.reversed() {
      let new = file.entries.filter { !taken.contains(Self.base($0.option)) }
      taken.formUnion(new.map { Self.base($0.option) })
      kept = new + kept
    }
    self.arguments = [arguments[0]] + kept.flatMap(\.arguments) + arguments.dropFirst()
    origins = kept.map { ($0.option, $0.place) }
  }

  /// Adds to a complaint the place of the option that it is about, if that comes from a file.
  func locating(_ text: String) -> String {
    let first = text.prefix { $0 != "\n" }
    let named = origins.first { first.firstRange(of: "\($0.option) ") != nil || first.hasSuffix($0.option) }
    return named.map { text.replacing("Error: ", with: "Error: \($0.place): ", maxReplacements: 1) } ?? text
  }

  /// The name that both forms of a flag share.
  private static func base(_ option: String) -> String {
    option.hasPrefix("--no-") ? "--\(option.dropFirst(5))" : option
  }
}

/// The options among the arguments of `resnet train`, with their values as text.
struct GivenArguments {
  let options: [(name: String, value: String?)]

  /// - Returns: nil for other commands.
  init?(_ arguments: [String]) {
    guard arguments.first == "train" else { return nil }
    let command = HelpDump.root.command(named: ["train"])
    var options: [(String, String?)] = []
    var rest = arguments.dropFirst().prefix { $0 != "--" }
    while let word = rest.popFirst() {
      guard word.hasPrefix("--") else { continue }
      let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      if parts.count == 2 {
        options.append((parts[0], parts[1]))
      } else {
        options.append((word, command.argument(word)?.kind == .option ? rest.popFirst() : nil))
      }
    }
    self.options = options
  }

  /// Whether an option is given.
  func has(_ option: String) -> Bool { options.contains { $0.name == option } }

  /// The last value of an option; nil if it is not given.
  func value(_ option: String) -> String? { options.last { $0.name == option }?.value }
}
