import ArgumentParser
import Foundation
import Models
import Support

/// Suggestions of names for wrong arguments: the parser's own ones are at times far-fetched, or missing.
enum Suggestions {
  /// Returns the text that the program prints for a usage error, with a suggestion where a name is near.
  static func text(for error: any Error, _ arguments: [String]) -> String {
    let command = HelpDump.root.command(named: arguments)
    let text = listingValues(ResNetCommand.fullMessage(for: error), of: command)
    guard text.hasPrefix("Error: ") else { return text }
    if let answer = ForeignNames.answer(to: arguments, of: command) { return replacingComplaint(of: text, by: answer) }
    if let match = text.firstMatch(of: /Unknown option '(--?[^'=]*)'(\. Did you mean '[^']*'\?)?/) {
      let name = String(match.1)
      let others = commands(with: name).map { ": it is an option of \($0)" }
      return text.replacing(match.0, with: "Unknown option '\(name)'" + (others ?? hint(name, among: command.options)))
    }
    if let match = text.firstMatch(of: /Unexpected argument '([^']*)'/) {
      return text.replacing(match.0, with: match.0 + hint(unexpected: String(match.1), command))
    }
    if let match = text.firstMatch(of: /The value '([^']*)' is invalid for '[^']*'\. Please provide one of ([^\n]*)\./) {
      let values = match.2.matches(of: /'([^']*)'/).map { String($0.1) }
      let word = String(match.1)
      let hint = ForeignNames.value(word, among: values).map { ". Did you mean '\($0)'?" } ?? hint(word, among: values)
      return hint.isEmpty ? text : text.replacing(match.0, with: match.0.dropLast() + hint)
    }
    return text
  }

  /// Returns the commands that have an option, for example "`resnet evaluate` and `resnet predict`"; nil if none has it. Studies,
  /// which have many options of `resnet train`, are named if no other command has it.
  static func commands(with option: String) -> String? {
    let all = HelpDump.root.leaves.filter { $0.argument(option) != nil }.map { "`\($0.path)`" }
    let others = all.filter { !$0.hasPrefix("`resnet study ") }
    let paths = others.isEmpty ? all : others
    guard let last = paths.last else { return nil }
    return paths.count > 3
      ? paths.prefix(3).joined(separator: ", ") + " and others"
      : paths.count > 1 ? paths.dropLast().joined(separator: ", ") + " and \(last)" : last
  }

  /// Adds the possible values to a complaint about the value of a rare option, for which the parser does not list them.
  private static func listingValues(_ text: String, of command: HelpDump.Command) -> String {
    guard let match = text.prefixMatch(of: /Error: The value '[^']*' is invalid for '(--[a-z-]+)'(?=\n)/),
      let values = command.argument(String(match.1))?.allValues, let last = values.last, values.count > 1
    else { return text }
    let list = values.dropLast().map { "'\($0)'" }.joined(separator: ", ")
    return text.replacing(match.0, with: "\(match.0). Please provide one of \(list) or '\(last)'.", maxReplacements: 1)
  }

  /// Returns the text with another first line, and without the help of the option that the first line was about.
  private static func replacingComplaint(of text: String, by complaint: String) -> String {
    "Error: \(complaint)\n" + (text.range(of: "Usage: ").map { String(text[$0.lowerBound...]) } ?? "")
  }

  /// Returns the end of a sentence about an argument that nothing takes.
  private static func hint(unexpected argument: String, _ command: HelpDump.Command) -> String {
    if !command.shownSubcommands.isEmpty {
      let names = command.shownSubcommands.map(\.commandName)
      return ForeignNames.command(argument, among: names).map { ": it is called \($0) here" } ?? hint(argument, among: names)
    }
    guard let match = argument.wholeMatch(of: /([A-Za-z][A-Za-z0-9_-]*)=(.*)/) else {
      let option = ModelConfiguration.knownNames.contains(argument) ? "--model" : "--data"
      let isOne = option == "--model" || InputFile.exists(argument)
      return isOne && command.argument(option) != nil ? ". Did you mean '\(option) \(argument)'?" : ""
    }
    let name = "--\(match.1.replacing("_", with: "-"))"
    if command.argument(name) != nil { return ": options begin with dashes, \(name) \(match.2)" }
    return ForeignNames.answer(to: name, of: command).map { ": \($0)" } ?? ""
  }

  /// Returns the end of a sentence: a question if a name is near, otherwise nothing.
  private static func hint(_ text: String, among names: [String]) -> String {
    nearest(to: text, among: names).map { ". Did you mean '\($0)'?" } ?? ""
  }
}
