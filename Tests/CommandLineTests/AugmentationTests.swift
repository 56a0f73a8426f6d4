import Foundation
import Images
import TestSupport
import Testing

/// Tests the augmentation options of the command line.
@Suite struct AugmentationTests {
  private static let all = "--color-jitter 0.4,0.4,0.4,0.1 --trivial-augment --random-erasing 0.25 --mixup 0.2 --cutmix 1"
  private static let run =
    "train --dataset tensors --data images.safetensors --model resnet8 --batch-size 4 --epochs 1 --output refused"

  static let wrong: [Wrong] = [
    Wrong("train --no-augment --mixup 0.2", 64, "--no-augment", "--mixup"),
    Wrong("train --no-augment --color-jitter 0.4", 64, "--no-augment", "--color-jitter"),
    Wrong("train --no-augment --flip random", 64, "--no-augment", "--flip"),
    Wrong("train --color-jitter 0.4,x", 64, "0.4,x", "brightness,contrast,saturation,hue"),
    Wrong("train --color-jitter 1,1,1,1,1", 64, "1,1,1,1,1"),
    Wrong("train --color-jitter 0,0,0,0.7", 64, "--color-jitter", "hue"),
    Wrong("train --random-erasing 1.5", 64, "--random-erasing 1.5", "from 0 to 1"),
    Wrong("train --mixup 0", 64, "--mixup 0.0", "from 1e-06"), Wrong("train --cutmix=-1", 64, "--cutmix -1.0", "from 1e-06"),
    Wrong("train --crop-padding 70000", 64, "--crop-padding 70000"),
    Wrong("train --resume run --mixup 0.2", 64, "--mixup"),
    Wrong("train --resume run --trivial-augment", 64, "--trivial-augment"),
    Wrong("\(run) --trivial-augment", 1, "--trivial-augment", "tensors", "float32"),
    Wrong("train --dataset synthetic --show-augmentation nowhere/a.png", 1, "nowhere/a.png"),
    Wrong("train --dataset synthetic --show-augmentation nothing", 64, "'nothing'", ".png"),
  ]

  @Test(arguments: wrong) func isRefused(_ wrong: Wrong) throws { try wrong.check() }

  /// Writes one sheet in color and one of gray float images. Nothing is trained.
  @Test(arguments: [
    ("--dataset synthetic \(all)", 8),
    ("--dataset tensors --data images.safetensors --mixup 1 --random-erasing 0.5 --augment", 8),
  ])
  func sheet(_ options: String, _ rows: Int) throws {
    try withTemporaryFolder { folder in
      let result = try Program.run(
        "train --show-augmentation \(folder)/sheet.png --output \(folder)/run \(options)".split(separator: " ").map(String.init),
        in: Samples.folder)
      #expect(result.code == 0 && result.out.contains("sheet.png"), "\(result.err)")
      let sheet = try EncodedImage(contentsOf: "\(folder)/sheet.png").decoded()
      // The tiles have 96 pixels; a row has nine tiles.
      #expect(sheet.height == rows * 100 + 4 && sheet.width == 9 * 100 + 4)
      #expect(Set(sheet.pixels).count > 50)
      #expect(!FileManager.default.fileExists(atPath: "\(folder)/run"))
    }
  }

  /// Checks that the chosen options are saved with the run.
  @Test func optionsAreKept() throws {
    try withTemporaryFolder { folder in
      let line =
        "train --dataset synthetic --model resnet8 --limit-train 64 --batch-size 32 --epochs 1 --output run"
        + " --crop-padding 3 --flip alternate"
      let result = try Program.onReference("\(line) \(Self.all)", in: folder)
      #expect(result.code == 0, "\(result.err)")
      let file = try JSONSerialization.jsonObject(with: try Data(contentsOf: URL(fileURLWithPath: "\(folder)/run/config.json")))
      let augmentation = try #require((file as? [String: Any])?["augmentation"] as? [String: Any])
      #expect(augmentation["crop"] as? [String: [String: Int]] == ["padded": ["pixels": 3]])
      #expect(augmentation["flip"] as? Bool == true && augmentation["flipRule"] as? String == "alternate")
      #expect(augmentation["trivialAugment"] as? Bool == true)
      #expect(augmentation["mixing"] as? [String: Double] == ["mixup": 0.2, "cutmix": 1])
      #expect(augmentation["randomErasing"] as? [String: Double] == ["probability": 0.25])
      #expect((augmentation["colorJitter"] as? [String: Double])?["hue"] == 0.1)
    }
  }
}
