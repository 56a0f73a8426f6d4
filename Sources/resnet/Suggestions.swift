import ArgumentParser
import Foundation
import Support

/// Suggestions of names for wrong arguments: the parser's own ones are at times far-fetched, or missing.
enum Suggestions {
  /// Returns the text that the program prints for a usage error, with a suggestion where a name is near.
  static func text(for error: any Error, _ arguments: [String]) -> String {
    let text = ResNetCommand.fullMessage(for: error)
    let command = HelpDump.root.command(named: arguments)
    if let match = text.firstMatch(of: /Unknown option '(--[^'=]*)'(\. Did you mean '[^']*'\?)?/) {
      return text.replacing(match.0, with: "Unknown option '\(match.1)'" + hint(String(match.1), among: command.options))
    }
    if let match = text.firstMatch(of: /Unexpected argument '([^']*)'/) {
      return text.replacing(match.0, with: match.0 + hint(String(match.1), among: command.subcommandNames))
    }
    if let match = text.firstMatch(of: /The value '([^']*)' is invalid for '[^']*'\. Please provide one of ([^\n]*)\./) {
      let values = match.2.matches(of: /'([^']*)'/).map { String($0.1) }
      let hint = hint(String(match.1), among: values)
      return hint.isEmpty ? text : text.replacing(match.0, with: match.0.dropLast() + hint)
    }
    return text
  }

  /// Returns the end of a sentence: a question if a name is near, otherwise nothing.
  private static func hint(_ text: String, among names: [String]) -> String {
    nearest(to: text, among: names).map { ". Did you mean '\($0)'?" } ?? ""
  }
}

/// The part of the parser's description of the program that tells its commands and options.
private struct HelpDump: Decodable {
  struct Command: Decodable {
    struct Argument: Decodable {
      struct Name: Decodable { let kind, name: String }
      let shouldDisplay: Bool
      let names: [Name]?
    }
    let commandName: String
    let shouldDisplay: Bool?
    let arguments: [Argument]?
    let subcommands: [Command]?

    /// Options that the help shows, for example `--batch-size`.
    var options: [String] {
      (arguments ?? []).filter(\.shouldDisplay).flatMap { $0.names ?? [] }.filter { $0.kind == "long" }.map { "--\($0.name)" }
    }

    /// Names of the subcommands that the help shows.
    var subcommandNames: [String] { (subcommands ?? []).filter { $0.shouldDisplay ?? true }.map(\.commandName) }

    /// Returns the innermost command that the arguments name.
    func command(named arguments: [String]) -> Command {
      for (index, argument) in arguments.enumerated() {
        if let found = subcommands?.first(where: { $0.commandName == argument }) {
          return found.command(named: Array(arguments[(index + 1)...]))
        }
      }
      return self
    }
  }

  let command: Command

  /// The whole program; without commands and options if the parser describes itself in another form.
  static var root: Command {
    let known = try? JSONDecoder().decode(HelpDump.self, from: Data(ResNetCommand._dumpHelp().utf8))
    return known?.command ?? Command(commandName: "resnet", shouldDisplay: true, arguments: nil, subcommands: nil)
  }
}
