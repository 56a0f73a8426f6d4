import Compute
import Formats
import Foundation
import Support
import Testing

/// Tests the options for small and uneven data, as a user gives them.
@Suite struct UnevenTests {
  /// A folder with images of three classes: 44, 12 and 4 of them. Removed when the tests end.
  private static let folder: String = {
    atexit { try? FileManager.default.removeItem(atPath: UnevenTests.path) }
    do {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
      var random = Philox(seed: 5, stream: 0)
      let labels = (0..<60).map { $0 % 15 == 14 ? 2 : $0 % 5 == 3 ? 1 : 0 } as [Int32]
      let pixels = labels.flatMap { label in (0..<64).map { _ in UInt8(random.below(128) + Int(label) * 40) } }
      try Safetensors.write(
        [("images", HostTensor(pixels, shape: [60, 8, 8, 1])), ("labels", HostTensor(labels, shape: [60]))], metadata: [:],
        to: "\(path)/uneven.safetensors")
      try Data("class,weight\n2,4\n0,1\n1,two\n".utf8).write(to: URL(fileURLWithPath: "\(path)/wrong.csv"))
      try Data("class,weight\n2,4\n0,1\n1,2.5\n".utf8).write(to: URL(fileURLWithPath: "\(path)/weights.csv"))
    } catch { preconditionFailure("[UnevenTests] \(error)") }
    return path
  }()
  private static let path =
    FileManager.default.temporaryDirectory.appendingPathComponent("resnet-uneven-\(UUID().uuidString)").path

  private static let train = "train --dataset tensors --data uneven.safetensors --model resnet8 --batch-size 8 --log-every 1"

  private func words(_ line: String) -> [String] { line.split(separator: " ").map(String.init) }

  private func run(_ line: String) throws -> Program.Result { try Program.run(words(line), in: Self.folder) }

  /// Interrupts a run with all options in an epoch, and expects it to end in the bits of a run that was not interrupted.
  @Test func aRunWithAllOptionsIsResumed() throws {
    let line =
      "\(Self.train) --epochs 8 --class-weights balanced --sampling balanced --watch loss --patience 2 --validation-share 0.3 "
      + "--limit-validation 15 --label-smoothing 0.1 --mixup 0.2 --random-erasing 0.5 --seed 3"
    let whole = try run("\(line) --output whole")
    #expect(whole.code == 0, "\(whole.err)")
    #expect(whole.out.contains("42 images of 8×8×1 to train on, 15 to validate on"), "\(whole.out)")
    #expect(whole.out.contains("\nimages per class: 0 31, 1 8, 2 3\n"), "\(whole.out)")
    #expect(whole.out.contains("\nto validate on: a share of 0.3 of each class of the training images, set apart\n"))
    #expect(whole.out.contains("\nweights of the classes in the loss: 0 0.4516129, 1 1.75, 2 4.6666665\n"), "\(whole.out)")

    let cut = try Running(Program.path, words("\(line) --output cut"), in: Self.folder)
    try cut.wait(for: "the seventh step") {
      (try? String(contentsOfFile: "\(Self.folder)/cut/metrics.jsonl", encoding: .utf8).contains("\"step\":7,")) == true
    }
    cut.send(SIGINT)
    #expect(try cut.end().code == 130)
    let resumed = try run("train --resume cut")
    #expect(resumed.code == 0 && resumed.err.isEmpty, "\(resumed.err)")
    let state = try FileManager.default.contentsOfDirectory(atPath: "\(Self.folder)/whole").filter { $0.hasPrefix("state-") }
      .max()
    for file in ["last.safetensors", "best.safetensors", try #require(state)] {
      let paths = ["whole", "cut"].map { "\(Self.folder)/\($0)/\(file)" }
      #expect(try contents(paths[0]) == contents(paths[1]), "\(file) differs")
    }
  }

  /// The accuracy does not improve if nothing is learned: neither weights nor running estimates change in frozen layers.
  @Test func anEndForLackOfImprovementIsSaid() throws {
    let ended = try run(
      "\(Self.train) --epochs 9 --patience 2 --learning-rate 0 --freeze conv1 --freeze bn1 --freeze layer1 --freeze layer2 "
        + "--freeze layer3 --output impatient")
    #expect(ended.code == 0, "\(ended.err)")
    let reason = "the validation accuracy did not improve for 2 epochs"
    #expect(
      ended.out.contains("ended after epoch 3 of 9, as \(reason); the best weights are in impatient/best.safetensors"),
      "\(ended.out)")
    let again = try run("train --resume impatient")
    #expect(again.code == 0 && again.out.contains("this run is finished, \(reason), up to epoch 3; "), "\(again.out)")
  }

  @Test func weightsAreReadFromAFile() throws {
    let result = try run("\(Self.train) --epochs 1 --max-steps 1 --class-weights weights.csv --output filed")
    #expect(result.code == 0, "\(result.err)")
    #expect(result.out.contains("\nweights of the classes in the loss: 0 1.0, 1 2.5, 2 4.0\n"), "\(result.out)")
  }

  @Test(arguments: [
    ("--class-weights wrong.csv", 1, "wrong.csv: line 4: 'two' is no weight of the class '1': a number from 0 is needed"),
    ("--class-weights balance", 1, "balance"),
    ("--sampling balanced --no-shuffle", 64, "--sampling balanced draws images at random"),
    ("--patience 0", 64, "--patience 0: at least one epoch is needed"),
    ("--limit-validation 0", 64, "--limit-validation 0: at least one image is needed"),
    ("--validation-share 1", 64, "--validation-share 1.0: it must be above 0 and below 1"),
    ("--watch los", 64, "'los' is invalid for '--watch <watch>'"),
  ])
  func wrongOptionsAreRefused(_ options: String, _ code: Int32, _ expected: String) throws {
    let result = try run("\(Self.train) --epochs 1 --output refused \(options)")
    #expect(result.code == code && result.complaint.contains(expected) && result.out.isEmpty, "\(result.code): \(result.err)")
    #expect(!exists("\(Self.folder)/refused"))
  }

  /// Measures both parts of a data set, and compares the scores with those that follow from the confusion matrix.
  @Test func aPartIsEvaluated() throws {
    let trained = try run("\(Self.train) --epochs 2 --output measured")
    #expect(trained.code == 0, "\(trained.err)")
    let line = "evaluate --checkpoint measured/last.safetensors --data uneven.safetensors"
    let result = try run("\(line) --split train --json")
    #expect(
      result.code == 0 && result.err.contains("measuring on the training images of measured"), "\(result.err)")
    let found = try JSON(parsing: result.out)
    func number(_ value: JSON?) throws -> Double {
      switch value {
      case .number(let number): number
      case .integer(let number): Double(number)
      default: throw Surprise("no number: \(result.out)")
      }
    }
    guard case .array(let classes)? = found["per_class"], case .array(let rows)? = found["confusion"] else {
      throw Surprise("no classes: \(result.out)")
    }
    let matrix = try rows.map { row in
      guard case .array(let row) = row else { throw Surprise("no matrix") }
      return try row.map { try number($0) }
    }
    #expect(try classes.map { try number($0["support"]) } == [44, 12, 4])
    var recalls: [Double] = []
    for (label, scores) in classes.enumerated() {
      let taken = matrix.reduce(0) { $0 + $1[label] }
      let (precision, recall) = (taken == 0 ? 0 : matrix[label][label] / taken, matrix[label][label] / matrix[label].reduce(0, +))
      #expect(try number(scores["precision"]) == precision)
      #expect(try number(scores["recall"]) == recall)
      let f1 = precision + recall == 0 ? 0 : 2 * precision * recall / (precision + recall)
      #expect(try abs(number(scores["f1"]) - f1) < 1e-12)
      recalls.append(recall)
    }
    #expect(try abs(number(found["balanced_accuracy"]) - recalls.reduce(0, +) / 3) < 1e-12)
    #expect(try abs(number(found["macro_avg"]?["recall"]) - recalls.reduce(0, +) / 3) < 1e-12)
    #expect(try abs(number(found["weighted_avg"]?["recall"]) - number(found["top1"])) < 1e-12)
    let text = try run("\(line) --split val")
    #expect(text.out.contains("macro average") && text.out.contains("balanced accuracy "), "\(text.out)")
    let missing = try run("\(line) --split test")
    #expect(missing.code == 1 && missing.complaint.contains("has no test part: name another part (--split)"), "\(missing.err)")
  }

  /// The parts of a run are those into which it divided its images, also if their place is named.
  @Test func theShareOfARunIsEvaluated() throws {
    let trained = try run("\(Self.train) --epochs 1 --max-steps 1 --validation-share 0.3 --seed 3 --output shared")
    #expect(trained.code == 0 && trained.err.isEmpty, "\(trained.err)")
    let configuration = try JSON(parsing: String(contentsOfFile: "\(Self.folder)/shared/config.json", encoding: .utf8))
    let counts = configuration["data"]?["contents"]?["classCounts"]
    #expect(counts == .object([.init("0", .integer(31)), .init("1", .integer(8)), .init("2", .integer(3))]))
    for (options, count, source) in [
      ("", 18, "validation images of shared"), ("--split val", 18, "validation images of shared"),
      ("--split train --data uneven.safetensors", 42, "training images of shared"),
      ("--split train --data uneven.safetensors --dataset tensors", 60, "60 images of the training part of tensors"),
    ] {
      let result = try run("evaluate --json --checkpoint shared \(options)")
      #expect(result.out.contains("\"images\":\(count),") && result.complaint == "measuring on the \(source)", "\(result)")
    }
  }
}
