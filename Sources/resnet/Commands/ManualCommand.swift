import ArgumentParser
import Support

/// Prints the manual page, made of what the parser knows of the commands. It serves for installing the program, so it is not
/// listed.
struct ManualCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "manual", abstract: "Print the manual page, for man.", shouldDisplay: false)

  func run() throws { print(ManualPage(HelpDump.root).text, terminator: "") }
}

/// Manual page in the macros of man(7).
struct ManualPage {
  private let program: HelpDump.Command

  init(_ program: HelpDump.Command) { self.program = program }

  /// The page in groff's language.
  var text: String {
    var lines = [
      ".TH RESNET 1 \"\" \"resnet \(ResNetCommand.version)\" \"User Commands\"", ".SH NAME",
      "resnet \\- \(purpose)", ".SH SYNOPSIS", ".B resnet", ".I subcommand",
      "[options]", ".SH DESCRIPTION",
    ]
    lines += ["The subcommands are:"]
    for command in program.leaves {
      lines += [".TP", ".B \(escaped(name(of: command)))", escaped(command.abstract ?? "")]
    }
    for command in program.leaves { lines += section(command) }
    lines += Self.end
    return lines.joined(separator: "\n") + "\n"
  }

  private func name(of command: HelpDump.Command) -> String { String(command.path.dropFirst(program.commandName.count + 1)) }

  private func section(_ command: HelpDump.Command) -> [String] {
    var lines = [".SH RESNET \(escaped(name(of: command)).uppercased())", escaped(command.abstract ?? "")]
    for paragraph in (command.discussion ?? "").split(separator: "\n\n") where !paragraph.isEmpty {
      let parts = paragraph.split(separator: "\n").map(String.init)
      if parts.count > 1 {
        // The first line introduces examples, which stay as they are.
        lines += [".PP", escaped(parts[0]), ".PP", ".nf"] + parts.dropFirst().map(escaped) + [".fi"]
      } else {
        lines += [".PP", escaped(String(paragraph))]
      }
    }
    let arguments = command.arguments ?? []
    lines += group("Arguments", arguments.filter { $0.kind == .positional })
    let options = arguments.filter { $0.kind != .positional }
    for title in HelpGroup.order { lines += group(title, options.filter { $0.sectionTitle == title }) }
    return lines + group("Options", options.filter { !HelpGroup.order.contains($0.sectionTitle ?? "") })
  }

  private func group(_ title: String, _ arguments: [HelpDump.Argument]) -> [String] {
    guard !arguments.isEmpty else { return [] }
    return [".SS \(escaped(title))"]
      + arguments.flatMap { argument in
        let names = argument.spellings.map { "\\fB\(escaped($0))\\fR" }.joined(separator: ", ")
        let value = argument.kind == .option ? " \\fI\(escaped(argument.valueName ?? "value"))\\fR" : ""
        let standard = argument.defaultValue.map { " (default: \($0))" } ?? ""
        return [".TP", names + value, escaped((argument.abstract ?? "") + standard)]
      }
  }

  /// Escapes what groff would take for requests, and makes dashes those of the keyboard.
  private func escaped(_ text: String) -> String {
    let line = text.replacing("\\", with: "\\e").replacing("-", with: "\\-")
    return line.hasPrefix(".") || line.hasPrefix("'") ? "\\&\(line)" : line
  }

  /// The program's abstract as a manual page has it: without a capital letter and without a period.
  private var purpose: String {
    let text = escaped(program.abstract ?? "")
    return text.prefix(1).lowercased() + text.dropFirst().prefix { $0 != "." }
  }

  private static let end = [
    ".SH FILES", ".TP", ".I runs/", "The folders of runs: config.json, metrics.jsonl and the weights.", ".TP",
    ".I $XDG_CACHE_HOME/resnet", "What was tuned and compiled for the devices; otherwise in ~/.cache/resnet.",
    ".SH ENVIRONMENT", ".TP", ".B OCL_ICD_VENDORS", "The OpenCL drivers, if the system does not name them.", ".TP",
    ".B POCL_CACHE_DIR", "Where PoCL keeps compiled kernels.", ".SH \"EXIT STATUS\"",
    "0 for success, 64 for wrong usage, 1 for any other error, and 128 plus its number after a signal, once the state was",
    "saved.",
  ]
}
