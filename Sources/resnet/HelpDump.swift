import ArgumentParser
import Foundation

/// The parser's description of the program: its commands, and what each of them accepts.
struct HelpDump: Decodable {
  struct Argument: Decodable {
    enum Kind: String, Decodable { case option, flag, positional }
    struct Name: Decodable {
      let kind, name: String

      /// The name with its dashes, for example `--batch-size` or `-h`.
      var spelling: String { (kind == "long" ? "--" : "-") + name }
    }
    let kind: Kind
    let shouldDisplay, isOptional, isRepeating: Bool
    let names: [Name]?
    let valueName, defaultValue, abstract, sectionTitle: String?
    let allValues: [String]?

    /// Names of an option or a flag, for example `--batch-size`; of an argument its form in the help, for example `<model>`.
    var spellings: [String] { kind == .positional ? ["<\(valueName ?? "")>"] : (names ?? []).map(\.spelling) }
  }

  struct Command: Decodable {
    let commandName: String
    let superCommands: [String]?
    let abstract, discussion: String?
    let shouldDisplay: Bool?
    let arguments: [Argument]?
    let subcommands: [Command]?

    /// The command as a user writes it, for example `resnet bench model`.
    var path: String { ((superCommands ?? []) + [commandName]).joined(separator: " ") }

    /// Options and flags, for example `--batch-size`, including rare ones that only `--help-hidden` shows.
    var options: [String] {
      (arguments ?? []).filter { $0.kind != .positional }.flatMap(\.spellings).filter { $0.hasPrefix("--") }
    }

    /// Subcommands that the help shows.
    var shownSubcommands: [Command] { (subcommands ?? []).filter { $0.shouldDisplay ?? true && $0.commandName != "help" } }

    /// The commands that do something: this one, or those below it.
    var leaves: [Command] { shownSubcommands.isEmpty ? [self] : shownSubcommands.flatMap(\.leaves) }

    /// Returns the innermost command that the arguments name.
    func command(named arguments: [String]) -> Command {
      for (index, argument) in arguments.enumerated() {
        if let found = subcommands?.first(where: { $0.commandName == argument }) {
          return found.command(named: Array(arguments[(index + 1)...]))
        }
      }
      return self
    }

    /// Returns what an option, a flag or an argument is, by its spelling.
    func argument(_ spelling: String) -> Argument? { arguments?.first { $0.spellings.contains(spelling) } }
  }

  let command: Command

  /// The whole program; without commands and options if the parser describes itself in another form.
  static let root: Command = {
    let known = try? JSONDecoder().decode(HelpDump.self, from: Data(ResNetCommand._dumpHelp().utf8))
    return known?.command
      ?? Command(
        commandName: "resnet", superCommands: nil, abstract: nil, discussion: nil, shouldDisplay: true, arguments: nil,
        subcommands: nil)
  }()
}
