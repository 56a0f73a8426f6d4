import Compute
import Formats
import Foundation
import Support
import TestSupport
import Testing

/// Tests `predict` on image files, and the output of `evaluate` beyond its first line.
@Suite struct PredictTests {
  private func run(_ line: String, in folder: String) throws -> Program.Result {
    try Program.onReference(line, in: folder)
  }

  private func array(_ value: JSON?) throws -> [JSON] {
    guard case .array(let values)? = value else { throw Surprise("not an array: \(String(describing: value))") }
    return values
  }

  private func number(_ value: JSON?) throws -> Double {
    switch value {
    case .integer(let value)?: Double(value)
    case .number(let value)?: value
    default: throw Surprise("not a number: \(String(describing: value))")
    }
  }

  /// Checks that the same images, one by one and as a test set, with and without augmentation, give the same confusion matrix.
  @Test func predictionsAgreeWithEvaluation() throws {
    try withTemporaryFolder { folder in
      try writePhotographs("\(folder)/data", train: 6, validation: 5)
      let trained = try run(
        "train --dataset folder --data data --model resnet8 --image-size 16 --batch-size 6 --max-steps 3 --output run",
        in: folder)
      #expect(trained.code == 0, "\(trained.err)")
      for augmentation in ["none", "ten-crop"] {
        let options = "--checkpoint run/last.safetensors --json --tta \(augmentation) --batch-size 4"
        let evaluated = try run("evaluate \(options) --data data --confusion matrix.csv", in: folder)
        let says = "measuring on all 15 images of data/val, the validation part of data; not used: train"
        #expect(evaluated.code == 0 && evaluated.errorLines == [Substring(says)], "\(evaluated.err)")
        let figures = try JSON(parsing: String(evaluated.out.dropLast()))
        let confusion = try array(figures["confusion"]).map { try array($0).map(number) }

        let predicted = try run("predict \(options) --top 9 data/val", in: folder)
        #expect(predicted.code == 0 && predicted.err.isEmpty, "\(predicted.err)")
        var counts = [[Double]](repeating: [0, 0, 0], count: 3)
        let objects = try array(try JSON(parsing: predicted.out))
        #expect(objects.count == 15)
        var loss = 0.0
        for (index, object) in objects.enumerated() {
          let name = ["ant", "bee", "cat"][index / 5]
          #expect(object["path"] == .string("data/val/\(name)/\(index % 5).png"))
          let found = try array(object["predictions"])
          let probabilities = try found.map { try number($0["probability"]) }
          #expect(found.count == 3 && abs(probabilities.reduce(0, +) - 1) < 1e-9 && probabilities == probabilities.sorted(by: >))
          counts[index / 5][Int(try number(found[0]["label"]))] += 1
          loss -= log(probabilities[try #require(found.firstIndex { $0["class"] == .string(name) })]) / 15
        }
        #expect(counts == confusion, "\(augmentation)")
        #expect(try abs(loss - number(figures["loss"])) < 1e-5, "\(augmentation)")
        let classes = try array(figures["per_class"])
        #expect(classes.map { $0["images"] } == [.integer(5), .integer(5), .integer(5)])
        #expect(try classes.map { try number($0["right"]) } == (0..<3).map { confusion[$0][$0] })
        let rows = try String(contentsOfFile: "\(folder)/matrix.csv", encoding: .utf8).split(separator: "\n")
        #expect(rows.first == "class,ant,bee,cat" && rows.count == 4)
        #expect(rows.dropFirst().map { $0.split(separator: ",").dropFirst().compactMap { Double($0) } } == confusion)
      }

      // The output is text; one image is damaged, and the others are still classified.
      try Data("nonsense".utf8).write(to: URL(fileURLWithPath: "\(folder)/data/val/bee/0.png"))
      let text = try run(
        "predict --checkpoint run/last.safetensors --top 1 data/val/ant/1.png data/val/bee --batch-size 1", in: folder)
      #expect(text.code == 1 && text.errorLines.count == 1 && text.complaint.contains("data/val/bee/0.png: not an image"))
      let lines = text.out.split(separator: "\n")
      #expect(lines.count == 10 && lines[0] == "data/val/ant/1.png" && lines[1].contains(" %  "), "\(text.out)")
      let table = try run("evaluate --checkpoint run/last.safetensors --data data --damaged skip", in: folder)
      #expect(table.code == 0 && table.out.hasPrefix("14 images: loss ") && table.out.contains("most often taken for"))

      // Weights without normalization are refused, not guessed at. Their class names come from the folders.
      _ = try run("export run/last.safetensors --output plain.safetensors", in: folder)
      let plain =
        "evaluate --checkpoint plain.safetensors --model resnet8 --dataset folder --data data --image-size 16 --damaged skip"
      let unknown = try run(plain, in: folder)
      #expect(unknown.code == 64 && unknown.complaint.contains("add --mean and --std"), "\(unknown.err)")
      let usual = try run("\(plain) --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 --tta flip", in: folder)
      #expect(usual.code == 0 && usual.out.hasPrefix("14 images: ") && usual.out.contains("\nant "), "\(usual.err)")

      // If the class names of the weights are those of the folders, they decide which folder belongs to which output.
      func confusion(_ result: Program.Result) throws -> [[Double]] {
        #expect(result.code == 0, "\(result.err)")
        return try array(try JSON(parsing: String(result.out.dropLast()))["confusion"]).map { try array($0).map(number) }
      }
      let inOrder = try confusion(
        run("\(plain) --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 --json", in: folder))
      for (names, order) in [("cat bee ant", [2, 1, 0]), ("x y z", [0, 1, 2]), ("ant bee dog", nil)] {
        try Data(names.replacing(" ", with: "\n").utf8).write(to: URL(fileURLWithPath: "\(folder)/names.txt"))
        let imported = try run(
          "import plain.safetensors --model resnet8 --image-size 16 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 "
            + "--class-names names.txt --output named.safetensors", in: folder)
        #expect(imported.code == 0 && imported.out.contains("16×16 pixels"), "\(imported.err)")
        let named = try run(
          "evaluate --checkpoint named.safetensors --dataset folder --data data --damaged skip --json", in: folder)
        if let order {
          #expect(try confusion(named) == order.map { inOrder[$0] }, "\(names)")
        } else {
          #expect(named.code == 1 && named.complaint.contains("only one of them has cat, dog"), "\(named.err)")
        }
      }

      // Weights without class names are checked by the number of classes.
      for split in ["train", "val"] { try FileManager.default.removeItem(atPath: "\(folder)/data/\(split)/cat") }
      let fewer = try run(
        "evaluate --checkpoint plain.safetensors --model resnet8 --dataset folder --data data --image-size 16", in: folder)
      #expect(fewer.code == 1 && fewer.complaint.contains("3 classes, data has 2"), "\(fewer.err)")
    }
  }

  /// Uses weights without image metadata, one channel, and pictures of another size.
  @Test func normalizationMayBeGiven() throws {
    try withTemporaryFolder { folder in
      try writePicture("\(folder)/a.png", height: 11, width: 23, color: (9, 90, 200), noise: 3)
      let checkpoint = "predict --checkpoint \(Samples.folder)/run/last.safetensors a.png"
      let refused = try run(checkpoint, in: folder)
      #expect(refused.code == 64 && refused.complaint.contains("--mean and --std"), "\(refused.err)")
      let result = try run("\(checkpoint) --mean 0.5 --std 0.25 --tta flip --json", in: folder)
      #expect(result.code == 0, "\(result.err)")
      #expect(try array(try array(try JSON(parsing: result.out))[0]["predictions"]).count == 3)
      let three = try run("\(checkpoint) --mean 0,0,0 --std 1,1,1", in: folder)
      #expect(three.code == 64 && three.complaint.contains("1 channels"), "\(three.err)")
    }
  }

  /// Uses weights without class names: names are given with the command, or stored in a checkpoint.
  @Test func classesMayBeNamed() throws {
    try withTemporaryFolder { folder in
      try writePicture("\(folder)/a.png", height: 8, width: 8, color: (9, 90, 200), noise: 3)
      _ = try run("export \(Samples.folder)/run/last.safetensors --output plain.safetensors", in: folder)
      let names = ["plain goose", "café", "plain goose"]
      try Data("\(names.joined(separator: "\r\n"))\n".utf8).write(to: URL(fileURLWithPath: "\(folder)/names.txt"))
      func classes(_ line: String) throws -> [JSON?] {
        let result = try run("predict \(line) a.png --mean 0.5 --std 0.25 --json", in: folder)
        #expect(result.code == 0 && result.err.isEmpty, "\(line): \(result.err)")
        let predictions = try array(try array(try JSON(parsing: result.out))[0]["predictions"])
        return try predictions.sorted { try number($0["label"]) < number($1["label"]) }.map { $0["class"] }
      }
      let plain = "--checkpoint plain.safetensors --model resnet8"
      #expect(try classes(plain) == ["0", "1", "2"].map(JSON.string))
      #expect(try classes("\(plain) --class-names names.txt") == names.map(JSON.string))
      let imported = try run(
        "import plain.safetensors --model resnet8 --class-names names.txt --output named.safetensors", in: folder)
      #expect(imported.code == 0 && imported.err.isEmpty, "\(imported.err)")
      #expect(try classes("--checkpoint named.safetensors") == names.map(JSON.string))
      // Other names than those that are known are taken, and it is said.
      try Data("x\ny\nz\n".utf8).write(to: URL(fileURLWithPath: "\(folder)/other.txt"))
      let renamed = try run(
        "import named.safetensors --class-names other.txt --output renamed.safetensors", in: folder)
      #expect(renamed.code == 0 && renamed.complaint.contains("--class-names calls them x, y, z"), "\(renamed.err)")
      #expect(try classes("--checkpoint renamed.safetensors") == ["x", "y", "z"].map(JSON.string))
      #expect(try run("export named.safetensors --output named.onnx", in: folder).code == 0)
      #expect(try classes("--checkpoint named.onnx") == names.map(JSON.string))

      for (text, complaint) in [
        ("a\nb\n", "names 2 classes, one a line, and the network has 3"), ("a\n \nc", "line 2 is empty"), ("", "names 0 classes"),
        (String(repeating: "x", count: 4000), "too many to be the names"),
      ] {
        try Data(text.utf8).write(to: URL(fileURLWithPath: "\(folder)/wrong.txt"))
        let refused = try run(
          "import plain.safetensors --model resnet8 --class-names wrong.txt --output refused.safetensors", in: folder)
        #expect(
          refused.code == 1 && refused.complaint.contains("wrong.txt") && refused.complaint.contains(complaint), "\(refused.err)")
        #expect(!FileManager.default.fileExists(atPath: "\(folder)/refused.safetensors"))
      }
    }
  }

  /// Checks that the logits are the same: every number here is exact in 16 bits.
  @Test func tensorsMayBeOf16Bits() throws {
    try withTemporaryFolder { folder in
      let images = HostTensor((0..<128).map { Float($0 % 7) / 4 }, shape: [2, 8, 8, 1])
      let logits = try [DataType.float32, .float16, .bfloat16].map { type in
        try Safetensors.write([("images", images.converted(to: type))], metadata: [:], to: "\(folder)/in")
        let result = try run("predict --checkpoint \(Samples.folder)/run/last.safetensors --tensors in --output out", in: folder)
        #expect(result.code == 0 && result.out == "resnet8, logits [2, 3] of 2 images in out\n", "\(result.err)")
        return try Safetensors.read("\(folder)/out").tensors["logits"]
      }
      #expect(logits[0]?.shape == [2, 3] && logits[0] == logits[1] && logits[0] == logits[2])
    }
  }

  private static let sample = "--checkpoint run/last.safetensors"
  static let wrong: [Wrong] = [
    Wrong("predict \(sample)", 64, "images or folders", "--tensors"), Wrong("predict \(sample) ''", 64, "<image>"),
    Wrong("predict \(sample) a.png --output x", 64, "--output"),
    Wrong("predict \(sample) a.png --tensors images.safetensors --output x", 64, "--tensors", "<image>"),
    Wrong("predict \(sample) --tensors images.safetensors --output x --tta flip", 64, "--tta"),
    Wrong("predict \(sample) --tensors images.safetensors --output x --resize 9", 64, "--resize"),
    Wrong("predict \(sample) a.png --resize 0", 64, "--resize 0", "1 to 16384"),
    Wrong("predict \(sample) a.png --resize 9 --crop-fraction 0.9", 64, "--resize and --crop-fraction"),
    Wrong("predict \(sample) a.png --crop-fraction 1.1", 64, "--crop-fraction 1.1", "at most 1"),
    Wrong("predict \(sample) a.png --crop-fraction nan", 64, "--crop-fraction nan"),
    Wrong("predict \(sample) a.png --interpolation nearest", 64, "'nearest'", "bicubic"),
    Wrong("predict \(sample) empty --mean 0 --std 1 --resize 7", 64, "--resize", "a crop of 8 pixels"),
    Wrong("predict \(sample) empty --mean 0 --std 1 --crop-fraction 0.0001", 64, "--crop-fraction", "more than 16384"),
    Wrong("import bare.safetensors --model resnet8 --resize 9 --output refused", 64, "--resize needs --image-size"),
    Wrong("evaluate \(sample) --data images.safetensors --interpolation bicubic", 64, "--interpolation", "photographs"),
    Wrong("predict \(sample) a.png --top 0", 64, "--top 0"),
    Wrong("predict \(sample) a.png --class-names ''", 64, "--class-names"),
    Wrong("predict \(sample) a.png --mean 0 --std 1 --class-names gone.txt", 1, "gone.txt", "No such file"),
    Wrong("predict \(sample) a.png --mean 0 --std 1 --class-names images.safetensors", 1, "images.safetensors"),
    Wrong("predict \(sample) --tensors images.safetensors --output x --class-names y", 64, "--class-names"),
    Wrong("predict \(sample) a.png --tta five", 64, "'five'", "ten-crop"),
    Wrong("predict \(sample) a.png --mean 0.5", 64, "--mean and --std"),
    Wrong("predict \(sample) a.png --mean 0.5,x --std 1,1", 64, "'0.5,x'"),
    Wrong("predict \(sample) a.png --mean 0.5 --std 0", 64, "--std '0'"),
    Wrong("predict \(sample) a.png --mean 0.5,0.5 --std 1", 64, "--mean has 2"),
    Wrong("predict \(sample) gone.png --mean 0 --std 1", 1, "gone.png", "no such file"),
    Wrong("predict \(sample) nothing --mean 0 --std 1", 1, "nothing: no images"),
    Wrong("predict \(sample) empty --mean 0 --std 1 --tta ten-crop", 1, "ten crops"),
    Wrong("predict \(sample) empty --mean 0 --std 1", 1, "empty: empty"),
    Wrong("predict --checkpoint nothing empty", 1, "nothing is a folder"),
    Wrong("evaluate \(sample) --data images.safetensors --image-size 16", 64, "--image-size", "folder"),
    Wrong("evaluate \(sample) --data images.safetensors --tta ten-crop", 1, "ten crops", "8×8"),
    Wrong("evaluate \(sample) --data images.safetensors --confusion ''", 64, "--confusion"),
    Wrong("evaluate \(sample) --data images.safetensors --confusion /nowhere/x", 1, "/nowhere/x", "no folder /nowhere"),
    Wrong("evaluate \(sample) --data images.safetensors --mean 0.5 --std 0.5", 64, "--mean", "photographs"),
    Wrong("evaluate \(sample) --data images.safetensors --damaged skip", 64, "--damaged", "photographs"),
    Wrong("evaluate \(sample) --data images.safetensors --mean 0.5", 64, "--mean and --std"),
    Wrong("predict \(sample) --tensors images.safetensors --output /nowhere/x", 1, "no folder /nowhere"),
    Wrong("predict \(sample) a.png --mean 128 --std 1", 64, "--mean '128'", "0 to 1"),
    Wrong("import lacking.safetensors --output refused", 1, "lacking.safetensors: the nearest network is resnet8", "bn1.weight"),
    Wrong("evaluate \(sample) --dataset synthetic", 1, "channels"), Wrong("evaluate \(sample) --zero-init", 64, "--zero-init"),
    Wrong("import bare.safetensors --zero-init", 64, "--zero-init"), Wrong("predict \(sample) a --zero-init", 64, "--zero-init"),
    Wrong("evaluate \(sample) --dataset folder --data images.safetensors", 1, "images.safetensors: a file, but"),
    Wrong("train --dataset mnist --data images.safetensors --output refused", 1, "images.safetensors: a file, but"),
    Wrong("train --dataset tensors --data nothing --output refused", 1, "nothing: a folder, but"),
  ]

  @Test(arguments: wrong) func isRefused(_ wrong: Wrong) throws {
    let result = try wrong.check()
    if wrong.code == 1 { #expect(result.errorLines.count == 1, "\(result.err)") }
  }
}
