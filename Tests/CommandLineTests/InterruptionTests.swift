import Compute
import Formats
import Foundation
import Support
import Testing

/// Checks signals, a full disk and a closed output: one clear line, the correct exit code, and nothing lost.
@Suite struct InterruptionTests {
  /// Trains hundreds of quick steps, with few validation images.
  private static let steady =
    "train --dataset tensors --data ../small.safetensors --model resnet8 --batch-size 4 --epochs 60 --log-every 1"
  /// Trains a network whose files are larger than those that a driver writes when it builds kernels.
  private static let large =
    "train --dataset tensors --data ../small.safetensors --model resnet32 --batch-size 8 --epochs 12 --log-every 1"
  /// Trains two steps per epoch, with a validation that takes long in comparison.
  private static let checking =
    "train --dataset tensors --data ../checked.safetensors --model resnet8 --batch-size 4 --epochs 2 --log-every 1"

  /// Makes the data and runs each configuration once without interruption.
  private static let reference: String = {
    atexit { try? FileManager.default.removeItem(atPath: InterruptionTests.path) }
    do {
      try FileManager.default.createDirectory(atPath: "\(path)/work", withIntermediateDirectories: true)
      try write("small", training: 16, validation: 4)
      try write("moving", training: 16, validation: 4)
      try write("checked", training: 8, validation: 6000)
      for (line, name) in [(steady, "steady"), (checking, "checking"), (large, "large")] {
        let result = try Program.run(split(line) + ["--output", name], in: "\(path)/work")
        guard result.code == 0 else { throw Surprise(result.err) }
      }
    } catch { preconditionFailure("[InterruptionTests] \(error)") }
    return "\(path)/work"
  }()
  private static let path = FileManager.default.temporaryDirectory.appendingPathComponent("resnet-cut-\(UUID().uuidString)").path

  private static func write(_ name: String, training: Int, validation: Int) throws {
    var random = Philox(seed: 2, stream: 0)
    func pair(_ prefix: String, _ count: Int) -> [(name: String, tensor: HostTensor)] {
      [
        ("\(prefix)images", HostTensor((0..<count * 64).map { _ in UInt8(random.below(256)) }, shape: [count, 8, 8, 1])),
        ("\(prefix)labels", HostTensor((0..<count).map { Int32($0 % 3) }, shape: [count])),
      ]
    }
    try Safetensors.write(pair("", training) + pair("validation_", validation), metadata: [:], to: "\(path)/\(name).safetensors")
  }

  private static func split(_ line: String) -> [String] { line.split(separator: " ").map(String.init) }

  /// Starts a run in a new folder beside the reference.
  private func start(_ line: String) throws -> (program: Running, folder: String) {
    let name = UUID().uuidString
    return (try Running(Program.path, Self.split(line) + ["--output", name], in: Self.reference), "\(Self.reference)/\(name)")
  }

  private func log(_ folder: String) -> String { (try? String(contentsOfFile: "\(folder)/metrics.jsonl", encoding: .utf8)) ?? "" }

  /// Resumes an interrupted run and expects it to end with the same bits as the uninterrupted run of that name.
  private func finish(_ folder: String, like name: String) throws {
    let result = try Program.run(["train", "--resume", folder], in: Self.reference)
    #expect(result.code == 0 && result.err.isEmpty, "\(result.err)")
    for file in ["last.safetensors", "best.safetensors"] {
      #expect(try contents("\(folder)/\(file)") == contents("\(Self.reference)/\(name)/\(file)"), "\(file) differs")
    }
    #expect(try leftovers(folder).isEmpty)
  }

  private func leftovers(_ folder: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasPrefix(".") }
  }

  /// Path of the state with the most steps.
  private func newestState(in folder: String) -> String {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return "\(folder)/\(names.filter { $0.hasPrefix("state-") }.max() ?? "state")"
  }

  @Test(arguments: [(SIGINT, 130), (SIGTERM, 143), (SIGHUP, 129)] as [(Int32, Int32)])
  func signalSavesTheStateOfTraining(signal: Int32, code: Int32) throws {
    let (program, folder) = try start(Self.steady)
    try program.wait(for: "the third step") { self.log(folder).contains("\"step\":3,") }
    program.send(signal)
    let result = try program.end()
    #expect(!result.wasKilled && result.code == code, "\(result.err)")
    #expect(
      result.errorLines.count == 1 && result.complaint.contains("--resume \(folder.split(separator: "/").last ?? "")"),
      "\(result.err)")
    #expect(exists(newestState(in: folder)) && exists("\(folder)/last.safetensors"))
    _ = try XMLElements(try String(contentsOfFile: "\(folder)/report.html", encoding: .utf8))
    try finish(folder, like: "steady")
  }

  /// Kills a run that saves after every third step, so that it goes on in the middle of an epoch, or writes at that moment.
  @Test func aKilledRunGoesOn() throws {
    let (program, folder) = try start(Self.steady + " --save-every 3")
    try program.wait(for: "the seventh step") { self.log(folder).contains("\"step\":7,") }
    program.send(SIGKILL)
    _ = try program.end()
    try finish(folder, like: "steady")
  }

  @Test func signalDuringValidationSavesTheState() throws {
    let (program, folder) = try start(Self.checking)
    // The last step of the epoch is logged before validation begins, the epoch after validation.
    try program.wait(for: "the second step") { self.log(folder).contains("\"step\":2,") }
    program.send(SIGINT)
    let result = try program.end()
    #expect(!result.wasKilled && result.code == 130, "\(result.err)")
    #expect(!log(folder).contains("\"epoch\",\"epoch\":1"), "validation was over before the signal came")
    try finish(folder, like: "checking")
  }

  @Test func signalWhileLoadingEndsTheRun() throws {
    let (program, folder) = try start(Self.checking)
    try program.wait(for: "a handler") { try program.takesSignals() }
    program.send(SIGINT)
    let result = try program.end()
    #expect(!result.wasKilled && result.code == 130, "\(result.err)")
    #expect(result.errorLines.count <= 1, "\(result.err)")
    if exists("\(folder)/config.json") { try finish(folder, like: "checking") }
  }

  @Test func signalEndsAnEvaluation() throws {
    let program = try Running(
      Program.path,
      Self.split("evaluate --checkpoint checking/last.safetensors --data ../checked.safetensors --batch-size 1 --device cpu"),
      in: Self.reference)
    try program.wait(for: "a handler") { try program.takesSignals() }
    program.send(SIGTERM)
    let result = try program.end()
    #expect(!result.wasKilled && result.code == 143 && result.out.isEmpty, "\(result.err)")
  }

  @Test func aReaderThatGoesAwayStopsTheRun() throws {
    let name = UUID().uuidString
    let result = try Program.shell(
      "{ \"$0\" \(Self.steady) --output \(name); echo $? >\(name)/code; } | true", in: Self.reference)
    #expect(result.errorLines.count == 1 && result.complaint.contains("--resume \(name)"), "\(result.err)")
    let folder = "\(Self.reference)/\(name)"
    #expect(try String(contentsOfFile: "\(folder)/code", encoding: .utf8) == "141\n")
    try finish(folder, like: "steady")
  }

  @Test(arguments: ["devices", "summary resnet152", "bench model resnet8 --batch-size 2 --image-size 8 --steps 1", "--help"])
  func aClosedPipeMakesNoMess(line: String) throws {
    let result = try Program.shell("\"$0\" \(line) | true")
    #expect(result.code == 0 && result.err.isEmpty, "\(result.err)")
  }

  /// Checks that a file that gets the descriptor number of a closed stream does not receive the program's output.
  @Test func closedStreamsAreNotTakenForFiles() throws {
    let name = UUID().uuidString
    let result = try Program.shell("\"$0\" \(Self.steady) --output \(name) <&- 2>&-", in: Self.reference)
    #expect(result.code == 0)
    for file in ["last.safetensors", "state-00000240.safetensors", "config.json"] {
      #expect(
        try contents("\(Self.reference)/\(name)/\(file)") == contents("\(Self.reference)/steady/\(file)"), "\(file) differs")
    }
  }

  /// Shell prefix that limits the size of files to 3 MB. It stands for a full disk, which a test cannot make: the weights
  /// can be written, the training state cannot.
  private let fullDisk = "ulimit -f 6000; exec \"$0\""

  @Test func aFullDiskLosesNothing() throws {
    let (program, folder) = try start(Self.large)
    try program.wait(for: "an epoch") { self.log(folder).contains("\"step\":3,") }
    program.send(SIGTERM)
    #expect(try program.end().code == 143)

    let path = newestState(in: folder)
    let state = try contents(path)
    let result = try Program.shell("\(fullDisk) train --resume \(folder)", in: Self.reference)
    #expect(!result.wasKilled && result.code == 1, "\(result.err)")
    // The first line warns, and training goes on. The last one ends the run.
    #expect(result.errorLines.count == 2 && result.err.hasPrefix("warning: the state is not saved: "), "\(result.err)")
    let error = result.errorLines.last ?? ""
    #expect(error.contains("safetensors: File too large") && error.contains("train --resume"), "\(result.err)")
    #expect(error.contains("steps are lost, as the newest state is of step"), "\(result.err)")
    #expect(newestState(in: folder) == path)
    #expect(try contents(path) == state)
    #expect(try leftovers(folder).isEmpty)
    try finish(folder, like: "large")
    let epochs = log(folder).split(separator: "\n").filter { $0.contains("\"kind\":\"epoch\"") }
    #expect(epochs.count == 12, "each epoch is logged once")
  }

  @Test func aRunThatCouldNotSaveSaysSo() throws {
    let name = UUID().uuidString
    let result = try Program.shell("\(fullDisk) \(Self.large) --output \(name)", in: Self.reference)
    #expect(result.code == 1 && result.errorLines.count == 1, "\(result.err)")
    #expect(result.complaint.contains("\(name)/state-00000000.safetensors: File too large"), "\(result.err)")
    #expect(!exists("\(Self.reference)/\(name)"), "nothing was trained, so nothing is left")
  }

  /// Checks that a data set in memory that has moved can be named again, and that another data set is not accepted in its place.
  @Test func aDataSetThatHasMoved() throws {
    let (program, folder) = try start(Self.steady.replacingOccurrences(of: "small", with: "moving"))
    try program.wait(for: "the third step") { self.log(folder).contains("\"step\":3,") }
    program.send(SIGTERM)
    #expect(try program.end().code == 143)
    let files = FileManager.default
    try files.moveItem(atPath: "\(Self.path)/moving.safetensors", toPath: "\(Self.path)/moved.safetensors")
    func resume(_ options: String...) throws -> Program.Result {
      try Program.run(["train", "--resume", folder] + options, in: Self.reference)
    }
    #expect(try resume().complaint.contains("/moving.safetensors, the run's data set, is not there"))
    let other = try resume("--data", "../checked.safetensors")
    #expect(other.code == 1 && other.complaint.contains("checked.safetensors has changed since the run began"), "\(other.err)")
    #expect(try resume("--data", "../moved.safetensors").code == 0)
    #expect(try contents("\(folder)/last.safetensors") == contents("\(Self.reference)/steady/last.safetensors"))
  }

  /// Checks that no command begins if nobody could see its results.
  @Test(arguments: ["\(steady) --output closed", "devices", "summary resnet20", "--help", "train --help", "cache list"])
  func aClosedOutputIsAnError(line: String) throws {
    let result = try Program.shell("\"$0\" \(line) >&-", in: Self.reference)
    #expect(result.code == 1 && result.errorLines.count == 1, "\(result.err)")
    #expect(result.complaint.contains("standard output is closed"), "\(result.err)")
    #expect(try Program.shell("\"$0\" \(line) >&- 2>&-", in: Self.reference).code == 1)
    #expect(!exists("\(Self.reference)/closed"))
  }

  /// Checks that the program does not complain if its reader has gone, even where the caller ignores the signal.
  @Test func aBrokenPipeIsQuiet() throws {
    let result = try Program.shell("{ trap '' PIPE; sleep 0.2; \"$0\" summary resnet20; echo $? >&2; } | true")
    #expect(result.err == "\(128 + SIGPIPE)\n")
  }

  @Test(arguments: ["devices --json", "summary resnet152 --json", "--help", "bench model --help"])
  func outputThatCannotBeWrittenIsReported(line: String) throws {
    let result = try Program.shell("\"$0\" \(line) >/dev/full")
    #expect(result.code == 1 && result.errorLines.count == 1 && result.complaint.contains("No space left"), "\(result.err)")
  }

  @Test func divergenceLeavesNoCheckpoint() throws {
    let (program, folder) = try start("\(Self.steady) --learning-rate 1e30 --warmup-epochs 0")
    let result = try program.end()
    #expect(result.code == 1 && result.errorLines.count == 1, "\(result.err)")
    #expect(result.complaint.contains(" is not finite") && result.complaint.contains("--learning-rate"), "\(result.err)")
    #expect(exists("\(folder)/config.json") && !exists("\(folder)/last.safetensors") && !exists("\(folder)/best.safetensors"))
  }

  @Test func aRunningFolderIsLeftAlone() throws {
    let (program, folder) = try start(Self.steady)
    try program.wait(for: "a step") { self.log(folder).contains("\"step\":1,") }
    let second = try Program.run(Self.split(Self.steady) + ["--output", folder], in: Self.reference)
    #expect(second.code == 1 && second.errorLines.count == 1 && second.complaint.contains(folder), "\(second.err)")
    #expect(try program.end().code == 0)
    #expect(try contents("\(folder)/last.safetensors") == contents("\(Self.reference)/steady/last.safetensors"))
  }
}
