import Foundation
import TestSupport
import Testing

/// Tests the search for a learning rate.
@Suite struct FindRateTests {
  static let wrong: [Wrong] = [
    Wrong("train --find-rate a.png", 64, "--find-rate 'a.png'", ".svg"), Wrong("train --find-rate ''", 64, "--find-rate ''"),
    Wrong("train --find-rate a.svg --resume run", 64, "--find-rate", "--resume"),
    Wrong("train --find-rate a.svg --output run", 64, "--find-rate", "--output"),
    Wrong("train --find-rate a.svg --show-augmentation a.png", 64, "--find-rate", "--show-augmentation"),
    Wrong("train --find-rate a.svg --profile", 64, "--profile"),
    Wrong("train --dataset synthetic --find-rate nowhere/a.svg", 1, "nowhere/a.svg", "no folder"),
    Wrong("\(Samples.run) --find-rate a.svg --max-steps 19", 1, "--max-steps 19", "20"),
  ]

  @Test(arguments: wrong) func isRefused(_ wrong: Wrong) throws {
    try wrong.check()
    #expect(!exists("\(Samples.folder)/a.svg"))
  }

  private static let synthetic = "--dataset synthetic --limit-train 256 --batch-size 16 --max-steps 60"

  /// Searches with random weights and with given ones. The curve is the only file afterwards.
  @Test(arguments: [
    "\(synthetic) --model resnet8", "\(synthetic) --model resnet8 --optimizer adamw --augment --mixup 0.2 --accumulate 2",
    "--dataset tensors --data FOLDER/images.safetensors --batch-size 8 --init FOLDER/run/last.safetensors --freeze layer1",
  ])
  func aRateIsFound(_ options: String) throws {
    try withTemporaryFolder { folder in
      let weights = try contents("\(Samples.folder)/run/last.safetensors")
      let line = "train --seed 2 --find-rate curve.svg \(options)".replacingOccurrences(of: "FOLDER", with: Samples.folder)
      let result = try Program.run(line.split(separator: " ").map(String.init), in: folder)
      #expect(result.code == 0, "\(result.out)\(result.err)")
      let suggested = try #require(result.out.firstMatch(of: /suggested: --learning-rate ([0-9.e-]+), where/))
      let rate = try #require(Double(suggested.1))
      #expect(rate > 1e-6 && rate < 10, "\(rate)")
      let picture = try XMLElements(try String(contentsOfFile: "\(folder)/curve.svg", encoding: .utf8))
      #expect(picture.named("path").count == 2 && picture.texts.contains("learning rate") && picture.texts.contains("loss"))
      #expect(picture.texts.contains { $0 == "falls fastest: \(suggested.1)" })
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["curve.svg"])
      #expect(try contents("\(Samples.folder)/run/last.safetensors") == weights)
      // The same seed gives the same losses. Without notes and progress, only the results are left.
      let curve = try contents("\(folder)/curve.svg")
      let again = try Program.run(line.split(separator: " ").map(String.init) + ["--quiet"], in: folder)
      #expect(try contents("\(folder)/curve.svg") == curve)
      #expect(again.out.hasPrefix("curve.svg: the loss at every rate\nsuggested: ") && result.out.hasSuffix(again.out))
    }
  }

  /// Frozen weights and a rate of zero for the rest: the loss cannot fall.
  @Test func noRateIsSuggestedIfNoneHelps() throws {
    try withTemporaryFolder { folder in
      let line =
        "train --dataset synthetic --limit-train 64 --model resnet8 --batch-size 8 --learning-rate-scale conv1=0 "
        + "--freeze bn1 --freeze layer1 --freeze layer2 --freeze layer3 --freeze fc --max-steps 20 --find-rate curve.svg"
      let result = try Program.run(line.split(separator: " ").map(String.init), in: folder)
      #expect(result.code == 1 && result.complaint.contains("no learning rate from 1e-7 to 10 lowers the loss"), "\(result.err)")
      _ = try XMLElements(try String(contentsOfFile: "\(folder)/curve.svg", encoding: .utf8))
    }
  }
}
