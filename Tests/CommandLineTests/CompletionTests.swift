import Foundation
import Support
import TestSupport
import Testing

/// Tests completion and the manual page as an installed program gives them.
@Suite struct CompletionTests {
  /// A folder with runs, weights, and a folder that is called as a subcommand.
  private func withFiles(_ body: (String) throws -> Void) throws {
    try withTemporaryFolder { folder in
      for path in ["runs/first/config.json", "runs/my run/config.json", "weights.safetensors", "weights.txt"] {
        try write([], to: "\(folder)/\(path)")
      }
      for path in ["runs/other", "photos", "train"] {
        try FileManager.default.createDirectory(atPath: "\(folder)/\(path)", withIntermediateDirectories: true)
      }
      try body(folder)
    }
  }

  /// Devices that `resnet devices` lists, without the reference.
  private func devices() throws -> [String] {
    guard case .array(let all) = try JSON(parsing: Program.run(["devices", "--json"]).out) else { return [] }
    return all.compactMap { if case .string(let name)? = $0["selector"] { name } else { nil } }.filter { $0 != "cpu" }
  }

  @Test func bashCompletes() throws { try requireCompletions(in: .bash) }

  @Test(.enabled(if: Shell.zsh.path != nil, "zsh is not installed")) func zshCompletes() throws {
    try requireCompletions(in: .zsh)
  }

  @Test(.enabled(if: Shell.fish.path != nil, "fish is not installed")) func fishCompletes() throws {
    try requireCompletions(in: .fish)
  }

  /// Presses the Tab key in an interactive shell.
  private func requireCompletions(in shell: Shell) throws {
    try withFiles { folder in
      let session = try ShellSession(shell, in: folder)
      let lines = [
        "ev": "evaluate", "tr": "train", "bench mod": "bench model", "train --sched": "train --schedule",
        "train --model resnet15": "train --model resnet152", "train --model=resnet15": "train --model=resnet152",
        "train --dataset cifar100": "train --dataset cifar100", "bench model wide_resnet10": "bench model wide_resnet101_2",
        "train --resume runs/fi": "train --resume runs/first",
        "runs compare runs/first runs/my": "runs compare runs/first runs/my run",
        "evaluate --checkpoint we": "evaluate --checkpoint weights.safetensors", "predict ph": "predict photos",
        "train --device cp": "train --device cpu", "train --device cpu,cp": "train --device cpu,cpu",
      ]
      func completed(_ line: String) throws -> String {
        // Folders end in a slash in some shells.
        try session.words("resnet \(line)\(ShellSession.tab)").dropFirst().map { $0.hasSuffix("/") ? String($0.dropLast()) : $0 }
          .joined(separator: " ")
      }
      for (line, expected) in lines { #expect(try completed(line) == expected) }
      for device in try devices() {
        // A complete name is completed to itself, and that of the only device from its beginning.
        for count in try devices().count == 1 ? [1, 2, 3] : [0] {
          for option in ["--device ", "--device="] {
            #expect(try completed("train \(option)\(device.dropLast(count))") == "train \(option)\(device)")
          }
        }
      }
    }
  }

  /// Inserts all completions.
  @Test func bashListsAll() throws {
    try withFiles { folder in
      let session = try ShellSession(.bash, in: folder)
      func all(_ line: String) throws -> [String] { try session.words("resnet \(line)\(ShellSession.insertAll)") }
      #expect(try all("train --resume ").dropFirst(3) == ["runs/first", "runs/my run"])
      #expect(try all("train --device ").dropFirst(3) == ["cpu", "opencl"] + devices())
      #expect(try all("train --device opencl:").dropFirst(3).first == devices().first)
      let models = try all("train --model resn")
      #expect(models.contains("resnet50") && models.contains("resnext50_32x4d") && !models.contains("plain20"), "\(models)")
      // Completing changes nothing of the shell.
      #expect(try session.words("\"$(trap -p RETURN)\"") == [])
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
