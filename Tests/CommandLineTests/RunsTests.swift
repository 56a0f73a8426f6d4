import Formats
import Foundation
import TestSupport
import Testing

/// Tests runs as arguments: their weights, their data, and the commands that list and compare them.
@Suite struct RunsTests {
  /// Runs the program in a folder and requires that it succeeds.
  private func run(_ line: String, in folder: String) throws -> Program.Result {
    let result = try Program.onReference(line, in: folder)
    #expect(result.code == 0, "\(line): \(result.err)")
    return result
  }

  private func parsed(_ text: String) throws -> Any { try JSONSerialization.jsonObject(with: Data(text.utf8)) }

  /// Trains two runs that differ in their learning rate, `runs/a` and then `runs/b`.
  private func withTwoRuns(_ body: (_ folder: String, _ train: String) throws -> Void) throws {
    try withTemporaryFolder { folder in
      try FileManager.default.copyItem(
        atPath: "\(Samples.folder)/images.safetensors", toPath: "\(folder)/images.safetensors")
      let train = "train --data images.safetensors --model resnet8 --batch-size 4"
      let first = try run("\(train) --epochs 2 --output runs/a", in: folder)
      #expect(
        first.err.contains("images.safetensors is taken as tensors, as it holds a safetensors file: --dataset says otherwise"))
      _ = try run("\(train) --epochs 2 --learning-rate 0.05 --output runs/b", in: folder)
      try body(folder, train)
    }
  }

  @Test func aRunIsItsBestWeights() throws {
    try withTwoRuns { folder, train in
      let newest = try run("evaluate --json", in: folder)
      #expect(newest.err.contains("runs/b/best.safetensors is taken, of the newest run: --checkpoint names others"))
      #expect(newest.err.contains("measuring on the validation images of runs/b"))
      let file = try run("evaluate --json --checkpoint runs/b/best.safetensors --data images.safetensors", in: folder)
      #expect(newest.out == file.out && newest.out.contains("\"images\":4"), "\(newest.out)")
      // A folder, also as a shell completes it, and another folder to start from.
      let first = try run("evaluate --json --checkpoint runs/a/", in: folder)
      #expect(first.out == (try run("evaluate --json --checkpoint runs/a/best.safetensors", in: folder)).out)
      #expect(first.out != newest.out)
      let logits = try run("predict --tensors images.safetensors --output logits.safetensors", in: folder)
      #expect(logits.err.contains("runs/b/best.safetensors is taken"))
      _ = try run("export runs/a --output a.onnx", in: folder)
      _ = try run("\(train) --init runs/a --max-steps 1 --epochs 1 --output fine", in: folder)
      let refused = try Program.run(["evaluate", "--checkpoint", "runs"], in: folder)
      #expect(refused.code == 1 && refused.complaint.contains("runs is a folder: name a file with weights"))
      // Data that has gone is named, and a remedy.
      try FileManager.default.removeItem(atPath: "\(folder)/images.safetensors")
      let gone = try Program.run(["evaluate"], in: folder)
      #expect(gone.code == 1 && gone.err.contains("images.safetensors, the run's data set, is not there"), "\(gone.err)")
    }
  }

  @Test func runsAreListedAndCompared() throws {
    try withTwoRuns { folder, train in
      let list = try run("runs list", in: folder).out.split(separator: "\n")
      #expect(list.count == 3 && list[1].hasPrefix("runs/a") && list[1].contains("resnet8") && list[1].contains("2/2"), "\(list)")
      let described = try #require(try parsed(run("runs list --json", in: folder).out) as? [[String: Any]])
      #expect(described.map { $0["run"] as? String } == ["runs/a", "runs/b"])
      #expect(described[0]["dataset"] as? String == "tensors" && described[0]["epochs_done"] as? Int == 2)
      #expect((described[0]["command"] as? [String])?.dropFirst().joined(separator: " ").hasPrefix("train --data") == true)
      for key in ["version", "device", "host", "started", "elapsed_seconds", "best_accuracy"] {
        #expect(described[0][key] is String || described[0][key] is Double, "\(key): \(described[0])")
      }
      #expect(described[0]["driver"] is NSNull, "the reference has none")

      let differences = try #require(try parsed(run("runs compare runs/a runs/b --json", in: folder).out) as? [[String: Any]])
      let names = differences.compactMap { $0["name"] as? String }
      #expect(names.first == "learning-rate" && !names.contains("model") && !names.contains("device"), "\(names)")
      #expect((differences[0]["values"] as? [String: Double]) == ["runs/a": 0.1, "runs/b": 0.05])
      let table = try run("runs compare runs/a runs/b", in: folder).out
      #expect(table.contains("learning-rate") && !table.contains("momentum"), "\(table)")
      #expect(try run("runs compare runs/a runs/a", in: folder).out == "nothing differs\n")

      // A resumed run adds a session; a run from before sessions were kept is listed too.
      let path = "\(folder)/runs/a/config.json"
      _ = try run("train --resume runs/a --epochs 3", in: folder)
      let sessions = try #require(
        try parsed(String(contentsOfFile: "\(folder)/runs/a/sessions.json", encoding: .utf8)) as? [[String: Any]])
      #expect(sessions.count == 2 && sessions.allSatisfy { $0["elapsedSeconds"] is Double }, "\(sessions)")
      try FileManager.default.removeItem(atPath: "\(folder)/runs/b/sessions.json")
      let later = try run("runs list", in: folder).out.split(separator: "\n")
      #expect(later.count == 3 && later.contains { $0.hasPrefix("runs/b") } && later.contains { $0.contains("3/3") }, "\(later)")

      // A damaged run is reported, and the others are listed.
      try "{}".write(toFile: path, atomically: true, encoding: .utf8)
      let damaged = try Program.run(["runs", "list"], in: folder)
      #expect(damaged.code == 1 && damaged.out.contains("runs/b") && damaged.complaint.contains("runs/a/config.json"))
    }
  }

  @Test(arguments: [
    ("evaluate", 64, "there is no run under runs/: name weights with --checkpoint"),
    ("predict x.png", 64, "there is no run under runs/"), ("runs compare runs/a", 64, "at least two runs"),
    ("runs compare a b", 1, "a: there is no such folder"), ("runs list nowhere", 1, "nowhere: there is no such folder"),
    ("train --data empty", 1, "empty: nothing there tells what data set it is"),
    ("train --data nowhere", 1, "nowhere"), ("train --data text.txt", 1, "text.txt: this file is no data set"),
  ])
  func whatIsMissingIsNamed(_ line: String, _ code: Int32, _ complaint: String) throws {
    try withTemporaryFolder { folder in
      try FileManager.default.createDirectory(atPath: "\(folder)/empty", withIntermediateDirectories: true)
      try Data("text".utf8).write(to: URL(fileURLWithPath: "\(folder)/text.txt"))
      let result = try Program.onReference(line, in: folder)
      #expect(result.code == code && result.complaint.contains(complaint), "\(result.err)")
      #expect(try run("runs list", in: folder).out == "there is no run in runs\n")
    }
  }

  /// Photographs of a run are measured as the run measured them.
  @Test func photographsOfARunAreFound() throws {
    try withTemporaryFolder { folder in
      try writePhotographs("\(folder)/insects", train: 8, validation: 4)
      let options = "--model resnet8 --image-size 16 --limit-train 4 --batch-size 4 --max-steps 1 --output runs/insects"
      let trained = try run("train --data insects \(options)", in: folder)
      #expect(trained.err.contains("insects is taken as folder, as it holds a folder of images for each class"), "\(trained.err)")
      let own = try run("evaluate --json", in: folder)
      let named = try run("evaluate --json --checkpoint runs/insects --data insects", in: folder)
      #expect(own.out == named.out && own.err.contains("measuring on the validation images of runs/insects"), "\(own.err)")
      let predicted = try run("predict insects/val", in: folder)
      #expect(predicted.out.contains(" %"))
      let part = try run("predict --split val", in: folder)
      // The run's data set has an absolute path.
      #expect(part.out.replacing("\(folder)/", with: "") == predicted.out)
      #expect(part.err.contains("classifying the validation images of runs/insects"), "\(part.err)")
      #expect(try run("predict --split train --json", in: folder).out.matches(of: /"path"/).count == 4)
      let missing = try Program.run(["predict", "--split", "test"], in: folder)
      #expect(missing.code == 1 && missing.err.contains("no test part in it"), "\(missing.err)")

      let more = "--model resnet8 --image-size 16 --limit-train 7 --batch-size 4 --max-steps 1 --output runs/more"
      #expect(try run("train --data insects \(more)", in: folder).code == 0)
      let list = try run("runs list", in: folder).out.split(separator: "\n")
      #expect(list[0].contains("images/class") && list[1].contains(" 1–2 ") && list[2].contains(" 2–3 "), "\(list)")
      let compared = try run("runs compare runs/insects runs/more", in: folder).out
      #expect(compared.contains(/images of ant +2 +3/) && compared.contains(/images of cat +1 +2/), "\(compared)")
    }
  }
}
