import Foundation
import TestSupport
import Testing

/// Tests `--config`, `--recipe` and `--print-config`.
@Suite struct ConfigurationFileTests {
  private static let images = "\(Samples.folder)/images.safetensors"

  private func run(_ line: String, in folder: String) throws -> Program.Result {
    try Program.run(line.split(separator: " ").map(String.init), in: folder)
  }

  private func write(_ text: String, _ path: String) throws { try text.write(toFile: path, atomically: true, encoding: .utf8) }

  /// Checks that the printed configuration gives the same run, to the last bit.
  @Test(arguments: [
    "--epochs 2 --no-shuffle --seed 7",
    "--optimizer adamw --ema 0.9 --label-smoothing 0.1 --augment --crop-padding 2 --flip alternate --random-erasing 0.25 --epochs 2",
    "--nesterov --clip-norm 1 --stochastic-depth 0.4 --lookahead 3 --bias-rate-scale 8 --learning-rate-scale fc=2 --learning-rate-scale layer1=0.5 --freeze conv1 --shortcut B --epochs 1",
  ])
  func thePrintedConfigurationGivesTheSameRun(_ options: String) throws {
    try withTemporaryFolder { folder in
      let line = "train --data \(Self.images) --model resnet8 --batch-size 4 \(options)"
      let first = try run("\(line) --output first", in: folder)
      #expect(first.code == 0, "\(first.err)")
      let printed = try run("\(line) --print-config --find-rate rate.svg", in: folder)
      #expect(printed.code == 0 && printed.out.contains("model: resnet8\n"), "\(printed.err)")
      #expect(!printed.out.contains("find-rate") && !exists("\(folder)/rate.svg"))
      #expect(!exists("\(folder)/runs"))
      try write(printed.out, "\(folder)/run.yaml")
      let second = try run("train --config run.yaml --output second", in: folder)
      #expect(second.code == 0, "\(printed.out)\n\(second.err)")
      for file in ["config.json", "last.safetensors", "best.safetensors"] {
        #expect(try contents("\(folder)/first/\(file)") == contents("\(folder)/second/\(file)"), "\(file)")
      }
      // The run keeps its configuration, so the file is not needed to go on, and would be refused.
      let resumed = try run("train --resume second --config run.yaml", in: folder)
      #expect(resumed.code == 64 && resumed.complaint.contains("--resume keeps the run's own options: leave --config out"))
    }
  }

  @Test func optionsReplaceThoseOfTheFileAndOfTheRecipe() throws {
    try withTemporaryFolder { folder in
      try write(
        """
        # A run.
        data: \(Self.images)
        dataset: tensors
        model: resnet8
        epochs: 3
        shuffle: false
        augment: no
        learning-rate-scale: {fc: 10, layer1: 0.1}
        freeze: [conv1, bn1]
        color-jitter: [0.4, 0.2]
        resize-from: 4
        """, "\(folder)/run.yaml")
      let line = "train --config run.yaml --recipe fashion --epochs 4 --shuffle --augment --print-config"
      let printed = try run(line, in: folder)
      #expect(printed.code == 0, "\(printed.err)")
      let expected = [
        "dataset: tensors", "epochs: 4", "shuffle: true", "augment: true", "learning-rate-scale:", "- fc=10", "- layer1=0.1",
        "- conv1", "random-erasing: 0.5", "color-jitter: 0.4,0.2", "resize-from: 4", "weight-decay: 5e-4", "batch-size: 128",
      ]
      for part in expected { #expect(printed.out.contains(part), "\(part): \(printed.out)") }
    }
  }

  /// All options of a recipe are accepted, and all of them are shown.
  @Test(arguments: [
    ("cifar --dataset tensors --data \(images)", ["epochs: 164", "max-steps: 64000", "schedule: step", "weight-decay: 1e-4"]),
    ("fashion --dataset tensors --data \(images)", ["epochs: 60", "random-erasing: 0.5"]),
    (
      "fast --dataset tensors --data \(images) --resize-from 4",
      ["schedule: one-cycle", "flip: alternate", "resize-from: 4", "nesterov: true"]
    ),
    ("imagenet --data insects", ["model: resnet50", "zero-init: true", "image-size: 224", "label-smoothing: 0.1"]),
    ("finetune --data insects", ["epochs: 10", "- fc=10", "model: resnet20"]),
  ])
  func recipesAreRead(_ options: String, _ expected: [String]) throws {
    try withTemporaryFolder { folder in
      try writePhotographs("\(folder)/insects", train: 2, validation: 1)
      let result = try run("train --recipe \(options) --print-config", in: folder)
      #expect(result.code == 0, "\(result.err)")
      for part in expected { #expect(result.out.contains("\(part)\n"), "\(part): \(result.out)") }
    }
  }

  @Test(arguments: [
    ("epochs: 3\nlr: 0.1", 64, "bad.yaml:2: unknown key 'lr': --lr is called --learning-rate here"),
    ("learning_rate: 0.1", 64, "bad.yaml:1: unknown key 'learning_rate': --learning_rate is called --learning-rate here"),
    ("epoch-s: 1", 64, "bad.yaml:1: unknown key 'epoch-s'; the nearest is 'epochs'"),
    ("epochs: 1\nfind-rate: a.svg", 64, "bad.yaml:2: 'find-rate' is no setting of a run: give it on the command line"),
    ("# x\n\nzzzz: 1", 64, "bad.yaml:3: unknown key 'zzzz': keys are the long names of options"),
    ("epochs: ten", 64, "bad.yaml:1: The value 'ten' is invalid for '--epochs <epochs>'"),
    ("seed: 1\nepochs: 0", 64, "bad.yaml:2: --epochs 0: at least one is needed"),
    ("data: ~/no such folder", 1, "\(ProcessInfo.processInfo.environment["HOME"] ?? "~")/no such folder"),
    ("epochs:", 64, "bad.yaml:1: epochs needs a value"),
    ("epochs: [1, [2]]", 64, "bad.yaml:1: epochs needs a value"),
    ("nesterov: 3", 64, "bad.yaml:1: nesterov is a flag: true or false is needed"),
    ("resume: runs/a", 64, "bad.yaml:1: 'resume' is no setting of a run: give it on the command line"),
    ("- epochs", 64, "bad.yaml: it is no mapping of options to values"),
    ("epochs: 1\nepochs: 2", 64, "epochs is there twice"), ("epochs: [1", 64, "this is not YAML"),
    ("\"a: b", 64, "this is not YAML"), ("\u{0}\u{1}", 64, "bad.yaml"),
  ])
  func mistakesAreLocated(_ text: String, _ code: Int32, _ complaint: String) throws {
    try withTemporaryFolder { folder in
      try write(text, "\(folder)/bad.yaml")
      let result = try run("train --config bad.yaml", in: folder)
      #expect(result.code == code && !result.wasKilled, "\(result.err)")
      #expect(result.complaint.hasPrefix("Error: ") && result.complaint.contains(complaint), "\(result.err)")
      #expect(!exists("\(folder)/runs"))
    }
  }

  @Test func hostileFilesAreRefused() throws {
    try withTemporaryFolder { folder in
      try write(String(repeating: "[", count: 200_000), "\(folder)/deep.yaml")
      try Data([0x80, 0xFF, 0x3A, 0x20]).write(to: URL(fileURLWithPath: "\(folder)/bytes.yaml"))
      for (file, code) in [("deep.yaml", 64), ("bytes.yaml", 1), ("missing.yaml", 1), (".", 1)] as [(String, Int32)] {
        let result = try run("train --config \(file)", in: folder)
        #expect(result.code == code && !result.wasKilled && result.complaint.contains(file), "\(file): \(result.err.prefix(500))")
      }
    }
  }
}
