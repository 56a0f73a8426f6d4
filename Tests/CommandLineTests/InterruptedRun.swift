import Compute
import Formats
import Foundation
import Support
import Testing

/// A run on the CPU reference of hundreds of quick steps, which tests interrupt.
struct InterruptedRun {
  /// 400 images of 8×8 to train on in batches of two, so that an epoch has 200 steps.
  private static let quick =
    "train --device cpu --dataset tensors --data ../images.safetensors --model resnet8 --batch-size 2 --epochs 2 --log-every 1"

  /// Folder of the data, and of the same run without interruption, `whole`.
  static let place: String = {
    atexit { try? FileManager.default.removeItem(atPath: InterruptedRun.path) }
    do {
      try FileManager.default.createDirectory(atPath: "\(path)/work", withIntermediateDirectories: true)
      var random = Philox(seed: 5, stream: 0)
      func images(_ count: Int) -> HostTensor {
        HostTensor((0..<count * 64).map { _ in UInt8(random.below(256)) }, shape: [count, 8, 8, 1])
      }
      func labels(_ count: Int) -> HostTensor { HostTensor((0..<count).map { Int32($0 % 3) }, shape: [count]) }
      try Safetensors.write(
        [
          ("images", images(400)), ("labels", labels(400)), ("validation_images", images(4)), ("validation_labels", labels(4)),
        ], metadata: [:], to: "\(path)/images.safetensors")
      let result = try Program.run(arguments("whole"), in: "\(path)/work")
      guard result.code == 0 else { throw Surprise(result.err) }
    } catch { preconditionFailure("[InterruptedRun] \(error)") }
    return "\(path)/work"
  }()
  private static let path = FileManager.default.temporaryDirectory.appendingPathComponent("resnet-stop-\(UUID().uuidString)").path

  private static func arguments(_ output: String, _ line: String = quick) -> [String] {
    line.split(separator: " ").map(String.init) + ["--output", output]
  }

  let program: Running
  let folder: String

  /// Starts a run in a new folder.
  /// - Parameters:
  ///   - line: the command, without its output; nil for the usual one.
  ///   - prefix: commands of a shell before the run; nil for no shell.
  ///   - output: standard output; nil for the terminal or a file.
  ///   - terminal: terminal of the program; nil for none.
  init(_ line: String? = nil, after prefix: String? = nil, output: FileHandle? = nil, terminal: FileHandle? = nil) throws {
    let name = UUID().uuidString
    folder = "\(Self.place)/\(name)"
    let arguments = Self.arguments(name, line ?? Self.quick)
    program =
      if let prefix {
        try Running(
          "/bin/sh", ["-c", "\(prefix) exec \"$0\" \"$@\"", Program.path] + arguments, in: Self.place, terminal: terminal,
          output: output)
      } else { try Running(Program.path, arguments, in: Self.place, terminal: terminal, output: output) }
  }

  /// Text of the run's log so far.
  var log: String { (try? String(contentsOfFile: "\(folder)/metrics.jsonl", encoding: .utf8)) ?? "" }

  /// Waits until a step is logged.
  func wait(forStep step: Int) throws { try program.wait(for: "step \(step)") { log.contains("\"step\":\(step),") } }

  /// Resumes the run and expects it to end with the same bits as the whole one.
  func finish() throws {
    let result = try Program.run(["train", "--device", "cpu", "--resume", folder], in: Self.place)
    #expect(result.code == 0, "\(result.err)")
    try expectWhole()
  }

  /// Expects the weights of the whole run.
  func expectWhole() throws {
    for file in ["last.safetensors", "best.safetensors"] {
      #expect(try contents("\(folder)/\(file)") == contents("\(Self.place)/whole/\(file)"), "\(file) differs")
    }
  }
}
