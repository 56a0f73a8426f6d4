import Compute
import Formats
import Foundation
import Support
import Testing

/// Tests what a user sees of a step in which a number is not finite.
@Suite struct ReplayTests {
  /// A folder with images and a run that ended in its second step. Removed when the tests end.
  private static let folder: String = {
    atexit { try? FileManager.default.removeItem(atPath: ReplayTests.path) }
    do {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
      var random = Philox(seed: 2, stream: 0)
      let pixels = (0..<12 * 64).map { _ in random.uniform() }
      try Safetensors.write(
        [
          ("images", HostTensor(pixels, shape: [12, 8, 8, 1])),
          ("labels", HostTensor((0..<12).map { Int32($0 % 3) }, shape: [12])),
        ], metadata: [:], to: "\(path)/images.safetensors")
    } catch { preconditionFailure("[ReplayTests] \(error)") }
    return path
  }()
  private static let path =
    FileManager.default.temporaryDirectory.appendingPathComponent("resnet-replay-\(UUID().uuidString)").path

  private static let train =
    "train --dataset tensors --data images.safetensors --model resnet8 --batch-size 4 --epochs 1 --warmup-epochs 0 "
    + "--schedule constant --learning-rate 1e30"

  private func run(_ line: String) throws -> Program.Result { try Program.onReference(line, in: Self.folder) }

  @Test func aStepAtFaultIsKeptAndReplayed() throws {
    let ended = try run("\(Self.train) --output run")
    #expect(ended.code == 1)
    let complaint = String(ended.complaint)
    #expect(complaint.contains("a number in step 2 is not finite: the running variance of the channels, by"), "\(ended.err)")
    #expect(complaint.contains("try a lower --learning-rate (it was 1e+30)"), "\(ended.err)")
    #expect(complaint.contains("`resnet replay run/fault-step-2.safetensors` tells who is to blame"), "\(ended.err)")

    let replayed = try run("replay run/fault-step-2.safetensors --device cpu")
    #expect(replayed.code == 0 && replayed.err.isEmpty, "\(replayed.err)")
    #expect(replayed.out.contains("step 2, in epoch 1, of resnet8 on tensors: 4 images"), "\(replayed.out)")
    #expect(
      replayed.out.contains("to blame: the mathematics: the reference finds it too, in the running variance"), "\(replayed.out)")

    let report = try JSON(parsing: run("replay run/fault-step-2.safetensors --device cpu --json").out)
    #expect(report["step"] == .integer(2) && report["verdict"] == .string("mathematics") && report["device"] == .null)
    #expect(report["finding"]?["layer"] == .string("conv1") && report["finding"]?["tensor"] == .string("runningVariance"))
  }

  @Test func skippedStepsAreSaidOnce() throws {
    let result = try run("\(Self.train) --on-fault skip --output skipped")
    let notes = result.errorLines.filter { $0.contains("is left out") }
    #expect(notes.count == 1 && notes[0].contains("step 2 is left out, as a number in it is not finite"), "\(result.err)")
    // The weights of the first step are of no use.
    #expect(result.err.contains("warning: the validation loss of epoch 1 is not finite"), "\(result.err)")
    let last = result.errorLines.last ?? ""
    #expect(result.code == 1 && last.contains("skipped: the validation loss of no epoch is finite"), "\(result.err)")
    #expect(last.contains("a lower --learning-rate") && last.contains("skipped/last.safetensors"), "\(result.err)")
  }

  /// A run that ended at a step at fault goes on without it.
  @Test func anEndedRunGoesOnWithoutTheStep() throws {
    let ended = try run("\(Self.train) --output ended")
    #expect(ended.code == 1 && ended.complaint.contains("a number in step 2 is not finite"), "\(ended.err)")
    let resumed = try run("train --resume ended --on-fault skip")
    #expect(resumed.out.contains("from here on, steps in which a number is not finite are left out"), "\(resumed.out)")
    #expect(resumed.err.contains("step 2 is left out") && !resumed.err.contains("leave --on-fault out"), "\(resumed.err)")
    let settings = try JSON(parsing: String(contentsOfFile: "\(Self.folder)/ended/config.json", encoding: .utf8))
    #expect(settings["onFault"] == .string("skip"))
  }

  @Test func otherFilesAreRefused() throws {
    let result = try run("replay images.safetensors --device cpu")
    #expect(result.code == 1 && result.complaint.contains("images.safetensors: it holds no step of training"), "\(result.err)")
    let missing = try run("replay nowhere.safetensors --device cpu")
    #expect(missing.code == 1 && missing.complaint.contains("nowhere.safetensors"), "\(missing.err)")
    #expect(try run("replay").code == 64)
  }
}
