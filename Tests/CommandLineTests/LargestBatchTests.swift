import Foundation
import Support
import TestSupport
import Testing

/// Tests `--batch-size auto` on a device that offers little memory.
@Suite struct LargestBatchTests {
  /// PoCL asks hwloc for the memory of the machine, and offers three quarters of it.
  private static let memory = ["HWLOC_SYNTHETIC": "[numa(memory=200MB)] pu:2"]
  private static let run = "train --dataset synthetic --model resnet20 --epochs 2"

  /// The batch that is found fits in two epochs with validation, and one more image does not.
  @Test(arguments: ["--limit-train 1000", "--limit-train 1000 --device opencl:0.0/2", "--limit-train 1000 --color-jitter 0.4"])
  func oneMoreImageDoesNotFit(_ options: String) throws {
    try withTemporaryFolder { folder in
      let words = "\(Self.run) \(options)".split(separator: " ").map(String.init)
      let result = try Program.run(
        words + ["--batch-size", "auto", "--max-steps", "12", "--output", "run"], environment: Self.memory, in: folder)
      #expect(result.code == 0, "\(result.out)\(result.err)")
      let found = try #require(
        result.out.firstMatch(of: /batch size ([0-9]+): the largest that fits ([0-9 +MB]+); the learning rate stays 0.1/),
        "\(result.out)")
      let size = try #require(Int(found.1))
      #expect(size > 32 && size < 100)
      let rate = try #require(result.out.firstMatch(of: /suggests --learning-rate (0\.[0-9]+) for such a batch/))
      #expect(abs((Double(rate.1) ?? 0) - 0.1 * Double(size) / 128) <= 0.0005, "\(rate.0)")
      let configuration = try JSON(parsing: try String(contentsOfFile: "\(folder)/run/config.json", encoding: .utf8))
      #expect(configuration["batchSize"] == .integer(size))
      let same = try Program.run(
        words + ["--batch-size", "\(size)", "--max-steps", "1", "--output", "same"], environment: Self.memory, in: folder)
      #expect(same.code == 0, "\(same.err)")
      let more = try Program.run(words + ["--batch-size", "\(size + 1)"], environment: Self.memory, in: folder)
      #expect(more.code == 1 && more.complaint.contains("--batch-size \(size), the largest that fits without"), "\(more.err)")
      #expect(!exists("\(folder)/runs/resnet20-synthetic"))
    }
  }

  @Test func anEpochKeepsItsSteps() throws {
    try withTemporaryFolder { folder in
      let line = "train --dataset synthetic --model resnet8 --epochs 1 --max-steps 1 --batch-size auto --output"
      // A tenth of the 640 images, but not of the 40.
      for (output, options, size) in [
        ("a", "--limit-train 640", 64), ("b", "--limit-train 40", 32),
        ("c", "--limit-train 1280 --accumulate 2 --optimizer adamw", 64),
      ] {
        let result = try Program.run("\(line) \(output) \(options)".split(separator: " ").map(String.init), in: folder)
        #expect(result.code == 0, "\(result.err)")
        let note = "batch size \(size): the memory holds more, but an epoch would have too few steps"
        #expect(result.out.contains(note), "\(result.out)")
      }
    }
  }

  /// A search for a rate takes the batch size, and no advice on the rate.
  @Test func aSearchForARateTakesIt() throws {
    try withTemporaryFolder { folder in
      let line = "train --dataset synthetic --model resnet8 --limit-train 640 --batch-size auto --max-steps 20 --find-rate a.svg"
      let result = try Program.run(line.split(separator: " ").map(String.init), in: folder)
      #expect(result.out.contains("batch size 64: the memory holds more, but an epoch would have too few steps\n"), "\(result)")
    }
  }

  @Test func aFileOfOptionsAsksForIt() throws {
    try withTemporaryFolder { folder in
      try "dataset: synthetic\nlimit-train: 640\nmodel: resnet8\nmax-steps: 1\nbatch-size: auto\n"
        .write(toFile: "\(folder)/run.yaml", atomically: true, encoding: .utf8)
      let printed = try Program.run(["train", "--config", "run.yaml", "--print-config"], in: folder)
      #expect(printed.code == 0 && printed.out.contains("\nbatch-size: auto\n"), "\(printed.out)\(printed.err)")
      try printed.out.write(toFile: "\(folder)/all.yaml", atomically: true, encoding: .utf8)
      let result = try Program.run(["train", "--config", "all.yaml", "--output", "run"], in: folder)
      #expect(result.code == 0 && result.out.contains("batch size 64: "), "\(result.out)\(result.err)")
    }
  }

  @Test func aDeviceWithoutRoomSaysSo() throws {
    try withTemporaryFolder { folder in
      let line = "train --image-size 1024 --dataset folder --data images --model resnet50 --batch-size auto"
      try FileManager.default.createDirectory(atPath: "\(folder)/images", withIntermediateDirectories: true)
      for name in ["a", "b"] {
        try FileManager.default.createDirectory(atPath: "\(folder)/images/train/\(name)", withIntermediateDirectories: true)
        try FileManager.default.createDirectory(atPath: "\(folder)/images/val/\(name)", withIntermediateDirectories: true)
        for split in ["train", "val"] {
          try writePicture("\(folder)/images/\(split)/\(name)/1.png", height: 8, width: 8, color: (1, 2, 3), noise: 1)
        }
      }
      let result = try Program.run(line.split(separator: " ").map(String.init), environment: Self.memory, in: folder)
      #expect(result.code == 1 && result.complaint.contains("not even the smallest --batch-size fits"), "\(result.err)")
      #expect(!exists("\(folder)/runs"))
    }
  }

  /// Checks that a limit of the process counts, and that the message names it.
  @Test func aLimitOfTheProcessIsNamed() throws {
    try withTemporaryFolder { folder in
      let line = "train --device cpu --dataset synthetic --model resnet56 --batch-size 2048"
      let result = try Program.shell("ulimit -v 1000000; exec \"$0\" \(line)", in: folder)
      #expect(result.code == 1 && result.errorLines.count == 1, "\(result.err)")
      #expect(result.complaint.contains("training needs ") && result.complaint.contains("--batch-size "), "\(result.err)")
      #expect(result.complaint.contains("a limit of this process leaves "), "\(result.err)")
    }
  }

  @Test(arguments: [
    Wrong("train --batch-size automatic", 64, "'automatic'", "--batch-size"),
    Wrong("train --resume run --batch-size auto", 64, "--batch-size"),
  ])
  func isRefused(_ wrong: Wrong) throws { try wrong.check() }
}
