/// Script that completes in a shell: the parser's, with what that lacks.
enum CompletionScript {
  /// Returns the script for a shell. Scripts of shells that lack nothing, and other texts, stay as they are.
  /// - Parameter script: what the parser prints.
  static func amended(_ script: String) -> String {
    if script.hasPrefix("#!/bin/bash\n") { return joiningWords(script) }
    if script.hasPrefix("#compdef ") { return acceptingEqualSigns(script) }
    return script
  }

  /// Lets bash complete words that it splits.
  private static func joiningWords(_ script: String) -> String {
    let registration = "\ncomplete -o filenames -F _resnet resnet"
    guard let range = script.ranges(of: registration).last else { return script }
    let addition = String(decoding: PackageResources.joined_words_bash, as: UTF8.self)
    return String(script[..<range.lowerBound]) + addition.dropLast()  // The line end comes with printing.
  }

  /// Lets zsh complete `--model=resnet20` as well as `--model resnet20`: the name of an option with a value ends in `=`.
  private static func acceptingEqualSigns(_ script: String) -> String {
    script.replacing(/(?m)^(\s*'\*?--[a-z-]+)(\[.*[^\\]\]:)/) { "\($0.output.1)=\($0.output.2)" }
  }
}
