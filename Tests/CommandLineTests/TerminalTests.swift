import Compute
import Formats
import Foundation
import Support
import Testing
import resnet

/// Tests what a run shows on terminals of several widths, and that it shows nothing of it elsewhere.
///
/// `Scripts/check-terminal` measures how long a terminal stays unchanged, as this depends on the machine.
@Suite struct TerminalTests {
  /// Trains quick steps, and validates for about as long.
  private static let line =
    "train --dataset tensors --data images.safetensors --model resnet8 --batch-size 4 --epochs 8 --log-every 1000"

  private static let folder: String = {
    atexit { try? FileManager.default.removeItem(atPath: TerminalTests.path) }
    do {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
      var random = Philox(seed: 3, stream: 0)
      func pair(_ prefix: String, _ count: Int) -> [(name: String, tensor: HostTensor)] {
        [
          ("\(prefix)images", HostTensor((0..<count * 64).map { _ in UInt8(random.below(256)) }, shape: [count, 8, 8, 1])),
          ("\(prefix)labels", HostTensor((0..<count).map { Int32($0 % 3) }, shape: [count])),
        ]
      }
      try Safetensors.write(pair("", 160) + pair("validation_", 1600), metadata: [:], to: "\(path)/images.safetensors")
    } catch { preconditionFailure("[TerminalTests] \(error)") }
    return path
  }()
  private static let path = FileManager.default.temporaryDirectory.appendingPathComponent("resnet-screen-\(UUID().uuidString)")
    .path

  /// Arguments of a training. At this rate the loss of random images stays near that of a guess on every processor, so that the
  /// run gives no warning.
  private func arguments(_ more: String = "") -> [String] {
    "\(Self.line) --learning-rate 0.001 \(more) --output \(UUID().uuidString)".split(separator: " ").map(String.init)
  }

  private func isLive(_ row: String) -> Bool { LineStyle.unicode.spinner.contains { row.hasPrefix("\($0) ") } }

  @Test(arguments: [40, 80, 120]) func thereIsOneLiveLine(columns width: Int) throws {
    let run = try TerminalRun(arguments(), columns: width, in: Self.folder)
    #expect(run.code == 0, "\(run.output)")
    var screen = Screen(columns: width)
    var frames: [String] = []
    var last = Unicode.Scalar(0)
    for scalar in run.output.unicodeScalars {
      try screen.write(scalar)
      // A drawing ends by removing what is behind the line.
      if last == "J", scalar == "\r" {
        let rows = screen.text
        let live = rows.indices.filter { isLive(rows[$0]) }
        #expect(live == [rows.count - 1], "one live line, the last: \(rows)")
        if let row = rows.last { frames.append(row) }
      }
      last = scalar
    }
    #expect(!screen.text.contains(where: isLive), "\(screen.text)")
    #expect(frames.count >= 3 && frames.allSatisfy { columns(of: $0) < width }, "\(frames)")
    #expect(zip(frames, frames.dropFirst()).allSatisfy { $0 != $1 }, "each drawing shows a sign of life")
    for phase in ["epoch ", "validating "] { #expect(frames.contains { $0.contains(phase) }, "\(phase): \(frames)") }
    // A line for each epoch, and none of them wrapped.
    for epoch in 1...8 {
      #expect(screen.text.count { $0.hasPrefix("epoch \(epoch)/8  loss ") && $0.count < width } == 1, "\(screen.text)")
    }
    #expect(screen.text.contains { $0.hasPrefix("best epoch ") })
    #expect(run.output.contains("next: resnet evaluate --checkpoint "))
    #expect(run.output.contains("█") == (width > 40))
  }

  @Test func aSearchForARateShowsItsSteps() throws {
    let line = Self.line + " --max-steps 600 --find-rate \(UUID().uuidString).svg"
    let run = try TerminalRun(line.split(separator: " ").map(String.init), columns: 120, in: Self.folder)
    #expect(run.code == 0 && run.output.contains("searching a learning rate "), "\(run.output)")
    var screen = Screen(columns: 120)
    for scalar in run.output.unicodeScalars { try screen.write(scalar) }
    #expect(!screen.text.contains(where: isLive), "\(screen.text)")
    #expect(screen.text.contains { $0.hasPrefix("suggested: --learning-rate ") }, "\(screen.text)")
  }

  @Test func anotherLocaleGetsOtherCharacters() throws {
    let run = try TerminalRun(arguments(), columns: 100, environment: ["LC_ALL": "C"], in: Self.folder)
    #expect(run.code == 0 && run.output.contains("[") && run.output.contains("\r| "))
    #expect(!run.output.contains("█") && !run.output.contains(where: { "↓↑→⠋⠙".contains($0) }))
  }

  @Test(arguments: [(["TERM": "dumb"], ""), (["TERM": ""], ""), ([:], "--quiet")] as [([String: String], String)])
  func aTerminalWithoutControlsGetsLines(environment: [String: String], option: String) throws {
    let run = try TerminalRun(arguments(option), columns: 80, environment: environment, in: Self.folder)
    #expect(run.code == 0 && !run.output.contains("\u{1B}"), "\(run.output)")
    #expect(run.output.contains("epoch 8/8  ") == option.isEmpty, "\(run.output)")
    #expect(!run.output.replacing("\r\n", with: "\n").contains("\r"))
  }

  @Test func aPipeGetsLines() throws {
    let result = try Program.run(arguments(), environment: ["TERM": "xterm"], in: Self.folder)
    #expect(result.code == 0 && result.err.isEmpty, "\(result.err)")
    #expect(!result.out.contains("\u{1B}") && !result.out.contains("\r"))
    let epochs = result.out.split(separator: "\n").filter { $0.contains("  validation accuracy ") }
    #expect(epochs.count == 8 && epochs[7].hasPrefix("epoch 8/8  loss "), "\(result.out)")
    #expect(result.out.split(separator: "\n").last?.hasPrefix("next: resnet evaluate --checkpoint ") == true)
  }

  @Test func colorsAreNeverUsed() throws {
    let run = try TerminalRun(arguments(), columns: 80, environment: ["NO_COLOR": "1"], in: Self.folder)
    #expect(run.code == 0 && run.output.contains("\u{1B}[J") && !run.output.contains(/\u{1B}\[[0-9;]*m/))
  }

  @Test func quietPrintsResultsAlone() throws {
    let run = try Program.run(arguments("--quiet"), in: Self.folder)
    let lines = run.out.split(separator: "\n")
    #expect(run.code == 0 && run.err.isEmpty && lines.count == 2 && lines[0].hasPrefix("best epoch "), "\(run)")
    let (folder, next) = try finishedRun()
    let checkpoint = "--checkpoint \(folder)/best.safetensors --data images.safetensors"
    // The command that the run names works as it is.
    let named = try Program.shell("\"$0\" \(next.dropFirst("next: resnet ".count))", in: Self.folder)
    #expect(named.code == 0 && named.out.hasPrefix("1600 images: "), "\(named)")
    for line in ["evaluate \(checkpoint) --quiet", "verify --quick --filter relu --quiet"] {
      let result = try Program.run(line.split(separator: " ").map(String.init), in: Self.folder)
      #expect(result.code == 0 && result.err.isEmpty && !result.out.isEmpty, "\(line): \(result)")
    }
  }

  @Test func verboseTellsWhatIsDoneInside() throws {
    let run = try Program.run(arguments("--verbose"), in: Self.folder)
    #expect(run.code == 0)
    for text in ["tuning table: ", "memory in use ", "batches of 4 images", "device "] {
      #expect(run.errorLines.contains { $0.hasPrefix("debug ") && $0.contains(text) }, "\(text): \(run.err)")
    }
    // New kernels are named with the time that they took.
    let new = try Program.run(
      ["verify", "--quick", "--filter", "relu", "--verbose"], environment: ["XDG_CACHE_HOME": "\(Self.folder)/cache"],
      in: Self.folder)
    #expect(new.code == 0 && new.err.contains(/debug [0-9.]+ s: built .+ in [0-9.]+ s/), "\(new.err)")
    #expect(try Program.run(arguments("--verbose --quiet"), in: Self.folder).code == 64)
  }

  /// Checks that output for programs stays pure, while progress goes to standard error.
  @Test func resultsStayApartFromProgress() throws {
    let (folder, _) = try finishedRun()
    let line = "evaluate --checkpoint \(folder)/best.safetensors --data images.safetensors --batch-size 1 --json >result.json"
    let run = try TerminalRun(shell: "exec \"$0\" \(line)", columns: 80, in: Self.folder)
    #expect(run.code == 0 && run.output.contains("evaluating ") && run.output.contains("\u{1B}[J"), "\(run.output)")
    #expect(try JSON(parsing: String(contentsOfFile: "\(Self.folder)/result.json", encoding: .utf8))["images"] == .integer(1600))
  }

  /// Trains a run to its end.
  /// - Returns: its folder, and the line with the next command.
  private func finishedRun() throws -> (folder: String, next: Substring) {
    let arguments = arguments()
    let result = try Program.run(arguments, in: Self.folder)
    guard let name = arguments.last, let next = result.out.split(separator: "\n").last else { throw Surprise(result.err) }
    return (name, next)
  }
}
