import Formats
import Foundation
import Support
import TestSupport
import Testing

/// Tests folders of photographs with the command line.
@Suite struct PhotographTests {
  private func run(_ line: String, in folder: String) throws -> Program.Result {
    try Program.onReference(line, in: folder)
  }

  @Test func trainEvaluateAndResume() throws {
    try withTemporaryFolder { folder in
      try writePhotographs("\(folder)/data", train: 8, validation: 3)
      try Data("nonsense".utf8).write(to: URL(fileURLWithPath: "\(folder)/data/val/cat/1.png"))
      let train = "train --dataset folder --data data --model resnet8 --image-size 16 --batch-size 8 --epochs 2"
      let refused = try run("\(train) --output a", in: folder)
      let lines = refused.errorLines
      #expect(refused.code == 1 && lines.count == 2 && lines[0].hasPrefix("warning: 8 images a class are few"), "\(refused.err)")
      #expect(lines[1].contains("data/val/cat/1.png: not an image") && lines[1].contains("--damaged skip"), "\(refused.err)")

      let result = try run("\(train) --damaged skip --output b", in: folder)
      #expect(result.code == 0 && result.out.contains("folder, 24 images of 16×16×3"), "\(result.err)")
      let left = result.errorLines.filter { $0.hasPrefix("left out: ") }
      #expect(left.count == 1 && left.allSatisfy { $0.contains("val/cat/1.png: not an image") }, "\(result.err)")
      #expect(result.errorLines.contains("images that could not be decoded and were left out: 1"), "\(result.err)")
      let checkpoint = "evaluate --checkpoint b/last.safetensors --data data --json"
      let measured = try run("\(checkpoint) --damaged skip", in: folder)
      let figures = try JSON(parsing: String(measured.out.dropLast()))
      #expect(figures["images"] == .integer(8) && figures["damaged"] == .integer(1))
      // The exit code tells of messages that nobody could read.
      for stream in ["2>&-", "2>/dev/full"] {
        let unsaid = try Program.shell("\"$0\" \(checkpoint) --damaged skip \(stream)", in: folder)
        #expect(unsaid.code == 1 && unsaid.out.hasPrefix("{"), "\(unsaid.out)")
      }
      #expect(try run(checkpoint, in: folder).code == 1)
      let finished = try run("train --resume b", in: folder)
      #expect(finished.code == 0 && finished.out.contains("this run is finished, all 6 steps are done"), "\(finished.out)")
      #expect(finished.out.contains("--init b/last.safetensors"))
      let changed = try run("train --resume b --damaged fail", in: folder)
      #expect(changed.code == 64 && changed.complaint.contains("leave --damaged out"), "\(changed.err)")

      // The data set has moved; the run saves its new path.
      try FileManager.default.moveItem(atPath: "\(folder)/data", toPath: "\(folder)/elsewhere")
      let lost = try run("train --resume b", in: folder)
      #expect(lost.code == 1 && lost.complaint.contains("/data, the run's data set") && lost.complaint.contains("--data"))
      for line in ["train --resume b --data elsewhere", "train --resume b"] {
        let found = try run(line, in: folder)
        #expect(found.code == 0 && found.out.contains("this run is finished"), "\(found.err)")
      }
      try writePhotographs("\(folder)/other", train: 2, validation: 2)
      let other = try run("train --resume b --data other", in: folder)
      #expect(other.code == 1 && other.complaint.contains("other has changed since the run began: 6 images"), "\(other.err)")
      try FileManager.default.moveItem(atPath: "\(folder)/elsewhere", toPath: "\(folder)/data")

      // Labels are numbers: with other classes they would mean something else.
      for split in ["train", "val"] {
        try FileManager.default.moveItem(atPath: "\(folder)/data/\(split)/cat", toPath: "\(folder)/data/\(split)/tiger")
      }
      let renamed = try run("\(checkpoint) --damaged skip", in: folder)
      #expect(renamed.code == 1 && renamed.complaint.contains("cat, tiger"), "\(renamed.err)")

      // Files of other kinds are reported once.
      for name in ["val/ant/a.mp4", "val/ant/b.heic", "val/ant/c", "val/bee/d.txt"] {
        try Data().write(to: URL(fileURLWithPath: "\(folder)/data/\(name)"))
      }
      let passed = try run("\(checkpoint) --damaged skip", in: folder).errorLines.filter { $0.hasPrefix("passed over: ") }
      #expect(passed.count == 1 && passed[0].contains("4 files") && passed[0].contains("val/ant/b.heic"), "\(passed)")
    }
  }

  /// Checks that the resize for validation is saved with the run and with its weights, and can be set for other weights.
  @Test func resizesAreKept() throws {
    try withTemporaryFolder { folder in
      try writePhotographs("\(folder)/data", train: 3, validation: 3)
      let other = "--crop-fraction 0.8 --interpolation bicubic"
      let train = "train --dataset folder --data data --model resnet8 --image-size 16 --batch-size 9 --epochs 2 --warmup-epochs 0"
      #expect(try run("\(train) --max-steps 1 \(other) --output a", in: folder).code == 0)
      #expect(try run("\(train) --max-steps 1 --output b", in: folder).code == 0)
      func text(_ path: String) throws -> String { try String(contentsOfFile: "\(folder)/\(path)", encoding: .utf8) }
      #expect(try text("a/config.json").contains("\"cropFraction\"") && text("a/config.json").contains("bicubic"))
      #expect(try !text("b/config.json").contains("cropFraction"))
      func loss(_ line: String) throws -> JSON? {
        let result = try run("evaluate --data data --json --checkpoint \(line)", in: folder)
        #expect(result.code == 0, "\(line): \(result.err)")
        return try JSON(parsing: String(result.out.dropLast()))["loss"]
      }
      let (own, usual) = (try loss("a/last.safetensors"), try loss("b/last.safetensors"))
      // The weights are the same after one step on the same crops: only the images to measure on differ.
      #expect(own != usual && own != nil)
      #expect(try loss("b/last.safetensors \(other)") == own)
      #expect(try loss("b/last.safetensors --resize 20 --interpolation bicubic") == own)
      #expect(try loss("a/last.safetensors --resize 18 --interpolation bilinear") == usual)
      #expect(try loss("a/last.safetensors --interpolation bilinear") != own)

      // A resumed run validates as it did at first.
      let unfinished = try text("a/config.json").replacing(/\n *"maxSteps" : 1,/, with: "")
      try Data(unfinished.utf8).write(to: URL(fileURLWithPath: "\(folder)/a/config.json"))
      #expect(try run("train --resume a --allow-config-change", in: folder).code == 0)
      let rows = try text("a/metrics.jsonl").split(separator: "\n").map { try JSON(parsing: String($0))["validation_loss"] }
      guard rows.count > 1, case .number(let last)? = rows.last.flatMap(\.self),
        case .number(let measured)? = try loss("a/last.safetensors"),
        case .number(let otherwise)? = try loss("a/last.safetensors --resize 18 --interpolation bilinear")
      else { throw Surprise("no losses: \(rows)") }
      #expect(abs(last - measured) < 1e-5 && abs(last - otherwise) > 1e-4)

      // These weights come from elsewhere, and these models are made for other programs.
      #expect(try run("export b/last.safetensors --output plain.safetensors", in: folder).code == 0)
      let normalization = "--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225"
      let imported = try run(
        "import plain.safetensors --model resnet8 --image-size 16 \(normalization) \(other) --output c.safetensors", in: folder)
      #expect(imported.code == 0 && imported.out.contains("shorter side has 20, resized with bicubic"), "\(imported)")
      #expect(try loss("c.safetensors --dataset folder") == own)
      #expect(try run("export c.safetensors --output c.onnx", in: folder).code == 0)
      #expect(try run("export plain.safetensors --model resnet8 --output plain.onnx", in: folder).code == 0)
      func predictions(_ line: String) throws -> String {
        let result = try run("predict --json data/val --checkpoint \(line)", in: folder)
        #expect(result.code == 0, "\(line): \(result.err)")
        return result.out
      }
      let kept = try predictions("c.onnx")
      #expect(try predictions("b/last.safetensors") != predictions("c.safetensors"))
      #expect(try kept != predictions("c.onnx --resize 18 --interpolation bilinear"))
      #expect(try kept == predictions("plain.onnx --image-size 16 \(normalization) \(other)"))

      // Training uses the resize of the initial weights, scaled to another image size.
      let begun = try run(
        "\(train.replacing("--image-size 16", with: "--image-size 24")) --init c.safetensors --output d --max-steps 1", in: folder
      )
      #expect(try begun.code == 0 && text("d/config.json").contains("\"cropFraction\""), "\(begun.err)")
      let refused = try run("train --resume a --interpolation bilinear", in: folder)
      #expect(refused.code == 64 && refused.complaint.contains("leave --interpolation out"), "\(refused.err)")
    }
  }

  /// Checks a last stage with one pixel per image: a batch of one image has no statistics there, so it is skipped with a message.
  @Test(arguments: ["opencl", "opencl/2"]) func aBatchOfOneImageIsPassedOver(device: String) throws {
    try withTemporaryFolder { folder in
      try writePhotographs("\(folder)/data", train: 2, validation: 1)
      try Data("nonsense".utf8).write(to: URL(fileURLWithPath: "\(folder)/data/train/cat/1.png"))
      let line =
        "train --dataset folder --data data --model resnet8 --batch-size 2 --epochs 2 --no-augment --damaged skip --device"
      let small = try run("\(line) \(device) --image-size 4 --output small", in: folder)
      #expect(
        small.code == 0 && small.errorLines.last?.hasPrefix("2 batches were passed over, as only one image") == true,
        "\(small.err)")
      let large = try run("\(line) \(device) --image-size 8 --output large", in: folder)
      #expect(large.code == 0 && !large.err.contains("passed over"), "\(large.err)")
    }
  }

  @Test func loaderIsMeasured() throws {
    try withTemporaryFolder { folder in
      try writePhotographs("\(folder)/data", train: 3, validation: 1)
      let result = try run("bench loader --data data --image-size 16 --batch-size 4 --threads 2 --passes 1 --json", in: folder)
      let figures = try JSON(parsing: String(result.out.dropLast()))
      #expect(figures["images"] == .integer(9) && figures["damaged"] == .integer(0) && figures["images_per_second"] != nil)
      try Data("nonsense".utf8).write(to: URL(fileURLWithPath: "\(folder)/data/train/cat/1.png"))
      let line = "bench loader --data data --image-size 16 --passes 1 --json"
      let refused = try run(line, in: folder)
      #expect(refused.code == 1 && refused.complaint.contains("train/cat/1.png"), "\(refused.err)")
      let skipped = try JSON(parsing: String(try run("\(line) --damaged skip", in: folder).out.dropLast()))
      #expect(skipped["images"] == .integer(9) && skipped["damaged"] == .integer(1))
    }
  }

  static let wrong: [Wrong] = [
    Wrong("train --image-size 32", 64, "--image-size", "--dataset folder"),
    Wrong("train --resize 40", 64, "--resize", "--dataset folder"),
    Wrong("train --dataset folder --data x --image-size 32 --resize 31", 64, "--resize", "a crop of 32 pixels"),
    Wrong("train --damaged skip", 64, "--damaged"),
    Wrong("train --dataset folder --damaged perhaps", 64, "'perhaps'"),
    Wrong("train --dataset folder --data x --image-size 0", 64, "--image-size"),
    Wrong("train --dataset folder --output refused", 1, "--data", "train/CLASS"),
    Wrong("train --dataset folder --data nowhere --output refused", 1, "nowhere", "no such folder"),
    Wrong("train --dataset folder --data images.safetensors --output refused", 1, "images.safetensors", "a file", "train/CLASS"),
    Wrong("train --dataset fashion-mnist --data images.safetensors --output refused", 1, "images.safetensors", "a file"),
    Wrong("bench loader --data x --damaged perhaps", 64, "'perhaps'"),
    Wrong("bench loader", 64, "--data"), Wrong("bench loader --data x --threads 0", 64, "--threads"),
    Wrong("bench loader --data nowhere", 1, "nowhere", "no such folder"),
  ]

  @Test(arguments: wrong) func isRefused(_ wrong: Wrong) throws { try wrong.check() }
}
