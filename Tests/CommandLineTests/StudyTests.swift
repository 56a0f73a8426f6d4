import Formats
import Foundation
import Support
import TestSupport
import Testing

/// Runs small studies from end to end.
@Suite struct StudyTests {
  /// Options for small images on the CPU reference, which trains these networks faster than a driver builds kernels for them.
  private static let recipe =
    "--device cpu --dataset tensors --data \(Samples.many) --limit-train 16 --batch-size 8 --epochs 1"

  private func run(_ line: String, in folder: String) throws -> Program.Result {
    try Program.run(line.split(separator: " ").map(String.init), in: folder)
  }

  private func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

  /// Trains, goes on, and refuses other settings.
  @Test func aStudyOfDegradationGoesOnWhereItWas() throws {
    try withTemporaryFolder { folder in
      let line = "study degradation --depths 8,14 \(Self.recipe) --output s"
      let whole = try run(line, in: folder)
      #expect(whole.code == 0, "\(whole.err)")
      #expect(whole.out.contains("run 4 of 4: resnet14, seed 0") && whole.out.contains("By single seeds: "), "\(whole.out)")
      for name in ["panels", "together"] {
        let drawn = try XMLElements(try text("\(folder)/s/\(name).svg"))
        let curves = drawn.named("path").compactMap { $0["class"] }
        #expect(curves.count == 8 && curves.count { $0.contains("dashed") } == 4, "\(curves)")
      }
      let table = try text("\(folder)/s/table.csv").split(separator: "\n")
      #expect(table.count == 5 && table[1].hasPrefix("plain8,0,finished,1,2,"), "\(table)")
      #expect(whole.out.contains(try text("\(folder)/s/findings.txt")))
      // Each run is an ordinary one.
      let list = try run("runs list s", in: folder)
      #expect(list.code == 0 && list.out.split(separator: "\n").count == 5, "\(list.out) \(list.err)")

      // A run whose end was not noted is done; one that is missing is trained again, to the same bits.
      let weights = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/s/resnet8-seed0/last.safetensors"))
      try FileManager.default.removeItem(atPath: "\(folder)/s/resnet8-seed0")
      let path = "\(folder)/s/study.json"
      try drop(["resnet8-seed0", "plain8-seed0"], from: path)
      let resumed = try run(line, in: folder)
      #expect(resumed.code == 0 && resumed.out.contains("2 of 4 runs are done"), "\(resumed.out) \(resumed.err)")
      #expect(try Data(contentsOf: URL(fileURLWithPath: "\(folder)/s/resnet8-seed0/last.safetensors")) == weights)
      #expect(resumed.out.components(separatedBy: "epoch 1/1").count == 2, "\(resumed.out)")
      #expect(try text("\(folder)/s/table.csv").split(separator: "\n") == table)

      let other = try run(line + " --momentum 0.5", in: folder)
      #expect(other.code == 1 && other.complaint.contains("s holds a study with other settings: recipe.optimizer.momentum"))
    }
  }

  /// Removes the ends of runs from a study's file.
  private func drop(_ names: [String], from path: String) throws {
    var object = try #require(
      try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: path))) as? [String: Any])
    var outcomes = try #require(object["outcomes"] as? [String: Any])
    for name in names { #expect(outcomes.removeValue(forKey: name) != nil) }
    object["outcomes"] = outcomes
    try JSONSerialization.data(withJSONObject: object).write(to: URL(fileURLWithPath: path))
  }

  @Test func gradientsOfFourNetworks() throws {
    try withTemporaryFolder { folder in
      let result = try run("study gradients --depths 8 \(Self.recipe) --json", in: folder)
      #expect(result.code == 0, "\(result.err)")
      let json = try JSON(parsing: result.out)
      guard case .array(let networks)? = json["networks"], case .array(let findings)? = json["findings"] else {
        throw Surprise(result.out)
      }
      #expect(networks.compactMap { $0["name"] } == ["plain8-bn", "resnet8-bn", "plain8-none", "resnet8-none"].map(JSON.string))
      #expect(findings.count > 8, "\(findings)")
      let rows = try text("\(folder)/studies/gradients/layers.csv").split(separator: "\n")
      // Seven convolutions of four networks, before training and after it.
      #expect(rows.count == 1 + 7 * 4 * 2 && rows[1].hasPrefix("plain8-bn,at initialization,1,"), "\(rows.prefix(3))")
      for name in ["gradients", "responses", "curves"] {
        let path = "\(folder)/studies/gradients/\(name).svg"
        #expect(try XMLElements(try text(path)).named("path").count >= 8, "\(name)")
      }
    }
  }

  @Test func divergenceIsAResult() throws {
    try withTemporaryFolder { folder in
      let recipe = Self.recipe.replacing("--epochs 1", with: "--epochs 3")
      let line = "study shortcuts --depths 8 \(recipe) --learning-rate 1e30 --output s"
      let result = try run(line, in: folder)
      #expect(result.code == 0, "\(result.err)")
      #expect(result.out.contains("resnet8-C diverged from 1 of 1 seeds, in step "), "\(result.out)")
      #expect(try text("\(folder)/s/table.csv").contains("resnet8-A,0,diverged,"))
      let again = try run(line, in: folder)
      #expect(again.code == 0 && again.out.contains("3 of 3 runs are done"), "\(again.out)")
    }
  }

  @Test func tooFewMinutesAreRefused() throws {
    try withTemporaryFolder { folder in
      let recipe = Self.recipe.replacing(" --epochs 1", with: "")
      let result = try run("study depth --depths 8,14 \(recipe) --minutes 0.00001", in: folder)
      #expect(result.code == 1 && result.complaint.contains("an epoch of all 2 runs takes about"), "\(result.err)")
      #expect(
        result.complaint.contains("--limit-train") && result.out.contains("resnet14: an epoch takes about"), "\(result.out)")
    }
  }
}
