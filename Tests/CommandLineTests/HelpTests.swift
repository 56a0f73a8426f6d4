import Foundation
import Testing
import resnet

/// Requires of the help of every command: the groups of options in their order, examples that parse, and short lines.
@Suite struct HelpTests {
  static let commands = CommandLineInterface.commands

  @Test func commandsAreFound() {
    #expect(Self.commands.count > 12 && Self.commands.contains(["bench", "model"]) && !Self.commands.contains(["manual"]))
  }

  @Test(arguments: commands) func groupsAreInOrder(_ command: [String]) {
    let help = CommandLineInterface.help(of: command, columns: 80)
    let titles = help.split(separator: "\n").filter { $0.hasSuffix(":") && $0 == $0.uppercased() }.map { $0.dropLast() }
    let known = CommandLineInterface.groups.map { $0.uppercased() }
    #expect(titles.last == "OPTIONS", "\(titles)")
    let order = ["ARGUMENTS"] + known + ["OPTIONS"]
    let places = titles.compactMap { title in order.firstIndex { $0 == title } }
    #expect(places.count == titles.count && places == places.sorted(), "\(titles)")
  }

  /// Of these commands each option has its group.
  @Test(arguments: [
    ["train"], ["evaluate"], ["predict"], ["landscape"], ["import"], ["export"], ["study", "degradation"],
    ["study", "gradients"], ["study", "depth"], ["study", "shortcuts"],
  ])
  func everyOptionHasAGroup(_ command: [String]) throws {
    let help = CommandLineInterface.help(of: command, columns: 80)
    let rest = try #require(help.components(separatedBy: "\nOPTIONS:\n").last)
    #expect(rest.matches(of: /(?m)^  -/).count == 2 && rest.contains("--version") && rest.contains("--help"), "\(rest)")
  }

  @Test(arguments: commands) func examplesParse(_ command: [String]) throws {
    let help = CommandLineInterface.help(of: command, columns: 100)
    let block = try #require(help.components(separatedBy: "Examples:\n").last?.components(separatedBy: "\n\n").first)
    let examples = block.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
    #expect(examples.count == (command.first == "cache" || command == ["runs", "list"] ? examples.count : 3), "\(examples)")
    #expect(examples.contains { $0.hasPrefix("resnet \(command.joined(separator: " "))") })
    for example in examples {
      #expect(example.hasPrefix("resnet ") && example.count <= 78, "\(example)")
      let arguments = example.split(separator: " ").dropFirst().map(String.init)
      #expect(throws: Never.self, "\(example)") { try CommandLineInterface.check(arguments) }
    }
  }

  @Test(arguments: commands + [[]]) func linesAreShort(_ command: [String]) {
    for isFull in [false, true] {
      let help = CommandLineInterface.help(of: command, columns: 80, isFull: isFull)
      for line in help.split(separator: "\n") { #expect(line.count <= 100, "\(line)") }
      #expect(help.contains("USAGE: resnet"), "\(help)")
    }
  }

  /// Rare options stand only in the full help, and options that a command would refuse in none.
  @Test func rareOptionsAreHidden() {
    let (help, full) = (
      CommandLineInterface.help(of: ["train"], columns: 80),
      CommandLineInterface.help(of: ["train"], columns: 80, isFull: true)
    )
    for option in [
      "--log-every", "--keep-states", "--allow-config-change", "--profile", "--zero-init", "--stride", "--key", "--crop-fraction",
    ] {
      #expect(!help.contains("  \(option)") && full.contains("  \(option)"), "\(option)")
    }
    for command in [["evaluate"], ["predict"], ["import"], ["export"]] {
      #expect(!CommandLineInterface.help(of: command, columns: 80, isFull: true).contains("--zero-init"))
    }
  }
}
