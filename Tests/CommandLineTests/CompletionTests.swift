import Foundation
import TestSupport
import Testing

/// Tests completion and the manual page as an installed program gives them.
@Suite struct CompletionTests {
  /// Completes the last word as bash does when the Tab key is pressed. `resnet` is found through PATH.
  private func complete(_ words: [String], in folder: String) throws -> [String] {
    let script = """
      PATH="$(dirname "$0"):$PATH"; source <(resnet --generate-completion-script bash)
      declare -f _resnet > /dev/null || { echo "no function completes" >&2; exit 1; }
      [[ "$(complete -p resnet)" == *"-F _resnet resnet" ]] || { echo "resnet is not completed" >&2; exit 1; }
      COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
      _resnet resnet "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
      printf '%s\\n' "${COMPREPLY[@]}"
      """
    let arguments = ["--norc", "--noprofile", "-c", script, Program.path, "resnet"] + words
    let result = try Running("/bin/bash", arguments, environment: [:], in: folder).end(limit: 60)
    #expect(result.code == 0 && result.err.isEmpty, "\(result.err)")
    return result.out.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
  }

  @Test func bashCompletes() throws {
    try withTemporaryFolder { folder in
      for path in ["runs/first", "runs/second", "runs/other", "photos"] {
        try FileManager.default.createDirectory(atPath: "\(folder)/\(path)", withIntermediateDirectories: true)
      }
      for path in ["runs/first/config.json", "runs/second/config.json", "weights.safetensors", "weights.txt"] {
        try Data().write(to: URL(fileURLWithPath: "\(folder)/\(path)"))
      }
      let models = try complete(["train", "--model", "resn"], in: folder)
      #expect(models.contains("resnet50") && models.contains("resnext50_32x4d") && !models.contains("plain20"), "\(models)")
      #expect(try complete(["train", "--dataset", "cif"], in: folder) == ["cifar10", "cifar100"])
      #expect(try complete(["train", "--sched"], in: folder) == ["--schedule"])
      #expect(try complete(["eval"], in: folder) == ["evaluate"])
      #expect(try complete(["train", "--resume", "ru"], in: folder) == ["runs/first", "runs/second"])
      let weights = try complete(["evaluate", "--checkpoint", "we"], in: folder)
      #expect(weights == ["weights.safetensors"], "\(weights)")
      #expect(try complete(["evaluate", "--checkpoint", "ru"], in: folder) == ["runs"])
      let devices = try complete(["train", "--device", ""], in: folder)
      #expect(devices.prefix(2) == ["cpu", "opencl"], "\(devices)")
    }
  }

  /// Every shell gets a script. Those that are installed check it.
  @Test(arguments: ["bash", "zsh", "fish"]) func scriptsAreWellFormed(_ shell: String) throws {
    try withTemporaryFolder { folder in
      let script = try Program.run(["--generate-completion-script", shell])
      #expect(script.code == 0 && script.out.contains("resnext50_32x4d"), "\(script.err)")
      try script.out.write(toFile: "\(folder)/script", atomically: true, encoding: .utf8)
      let check = try Program.shell("if command -v \(shell) > /dev/null; then \(shell) -n script; fi", in: folder)
      #expect(check.code == 0 && check.err.isEmpty, "\(check.err)")
    }
  }

  /// `man` shows the page, and finds nothing to warn about.
  @Test func manualRenders() throws {
    try withTemporaryFolder { folder in
      let page = try Program.run(["manual"])
      #expect(page.code == 0 && page.out.hasPrefix(".TH RESNET 1"), "\(page.err)")
      for option in ["\\-\\-learning\\-rate", "\\-\\-profile", ".SH RESNET BENCH MODEL", ".SS Fine\\-tuning"] {
        #expect(page.out.contains(option), "\(option)")
      }
      try page.out.write(toFile: "\(folder)/resnet.1", atomically: true, encoding: .utf8)
      let shown = try Program.shell("LC_ALL=C.UTF-8 MANWIDTH=80 man -l --warnings resnet.1", in: folder)
      #expect(shown.code == 0 && shown.err.isEmpty, "\(shown.err)")
      #expect(shown.out.contains("--learning-rate") && shown.out.contains("EXIT STATUS"))
    }
  }
}
