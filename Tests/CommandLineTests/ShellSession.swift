import Foundation
import Glibc
import TestSupport

/// Shell that completes.
enum Shell: String, CaseIterable {
  case bash, zsh, fish

  /// Path of the shell; nil if it is not installed.
  var path: String? { ["/bin/\(rawValue)", "/usr/bin/\(rawValue)"].first(where: exists) }

  /// Arguments that make it interactive, without its user's configuration.
  fileprivate var arguments: [String] {
    switch self {
    case .bash: ["--norc", "--noprofile", "-i"]
    case .zsh: ["-f", "-i"]
    case .fish: ["--no-config", "-i"]
    }
  }

  /// Lines that set the prompt `READY> `, define a function `show` that prints its arguments, and load the completions from
  /// the file `_resnet`. The prompt is written in two parts, as the terminal also shows what is typed.
  fileprivate var beginning: [String] {
    let show = "show() { printf '<<<'; printf '%s\\t' \"$@\"; printf '>>>\\n'; }"
    switch self {
    case .bash: return ["PS1='REA''DY> '", show, "source _resnet"]
    case .zsh: return ["PROMPT='REA''DY> '", show, "fpath=($PWD $fpath); autoload -U compinit; compinit -u -D; bindkey -e"]
    case .fish:
      return [
        "function fish_prompt; printf 'REA''DY> '; end",
        "function show; printf '<<<'; printf '%s\\t' $argv; printf '>>>\\n'; end",
        "source _resnet",
      ]
    }
  }
}

/// An interactive shell on a terminal, in which `resnet` is the program of these tests.
final class ShellSession {
  /// Keys.
  static let (tab, home, insertAll, enter) = ("\t", "\u{1}", "\u{1B}*", "\r")

  private let terminal: PseudoTerminal
  private let program: Running

  /// - Parameter folder: folder in which the shell starts. A file with the completions is put there.
  init(_ shell: Shell, in folder: String) throws {
    guard let path = shell.path else { throw Surprise("\(shell) is not installed: Scripts/setup --tests installs it") }
    let script = try Program.run(["--generate-completion-script", shell.rawValue])
    try script.out.write(toFile: "\(folder)/_resnet", atomically: true, encoding: .utf8)
    terminal = try PseudoTerminal(columns: 200)
    let programs = URL(fileURLWithPath: Program.path).deletingLastPathComponent().path
    let variables = [
      "TERM": "xterm", "LC_ALL": "C.UTF-8", "HOME": folder,
      "PATH": "\(programs):\(ProcessInfo.processInfo.environment["PATH"] ?? "")",
    ]
    // The shell needs the terminal as its own, and not only as its files.
    program = try Running(
      "/usr/bin/setsid", ["--ctty", "--wait", path] + shell.arguments, environment: variables, in: folder,
      terminal: terminal.program)
    try terminal.program.close()
    for line in shell.beginning {
      try type(line + Self.enter)
      _ = try output { $0.contains("READY> ") }
    }
  }

  deinit { try? terminal.person.write(contentsOf: Data("exit\(Self.enter)".utf8)) }

  /// Types a line, and returns the words that the shell makes of it.
  func words(_ line: String) throws -> [String] {
    try type(line + Self.home + "show " + Self.enter)
    let output = try output { text in text.ranges(of: ">>>").last.map { text[$0.upperBound...].contains("READY> ") } ?? false }
    guard let begin = output.ranges(of: "<<<").last, let end = output.ranges(of: ">>>").last, begin.upperBound <= end.lowerBound
    else { throw Surprise("'\(line)': \(output.debugDescription)") }
    return output[begin.upperBound..<end.lowerBound].split(separator: "\t").map(String.init)
  }

  private func type(_ text: String) throws { try terminal.person.write(contentsOf: Data(text.utf8)) }

  /// Waits for output that meets a condition.
  private func output(_ isComplete: (String) -> Bool) throws -> String {
    var output = ""
    var request = pollfd(fd: terminal.person.fileDescriptor, events: Int16(POLLIN), revents: 0)
    while !isComplete(output) {
      guard poll(&request, 1, 60_000) > 0, let bytes = terminal.read() else {
        throw Surprise("the shell does not answer: \(output.debugDescription)")
      }
      output += String(decoding: bytes, as: UTF8.self)
    }
    return output
  }
}
