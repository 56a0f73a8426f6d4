import Formats
import Foundation
import Support
import TestSupport
import Testing

/// Checks that every command does its work, and that the keys and files that scripts rely on are there.
@Suite struct CommandTests {
  private func json(_ line: String, in folder: String? = nil) throws -> JSON {
    let result = try Program.run(line.split(separator: " ").map(String.init), in: folder)
    #expect(result.code == 0 && result.err.isEmpty, "\(result.err)")
    #expect(result.out.split(separator: "\n").count == 1, "one line of JSON")
    return try JSON(parsing: String(result.out.dropLast()))
  }

  /// Whether a run says nothing on standard error but that its images are few.
  private func isSilent(_ result: Program.Result) -> Bool { result.errorLines.allSatisfy { $0.contains(" a class are few") } }

  private func expect(_ keys: String..., in value: JSON) {
    for key in keys { #expect(value[key] != nil, "\(key) is missing") }
  }

  /// Checks that a standard error that takes no more bytes does not change how the program ends.
  @Test func standardErrorMayBeFull() throws {
    let result = try Program.shell("\"$0\" evaluate --checkpoint nothing 2>/dev/full")
    #expect(result.code == 1 && !result.wasKilled)
  }

  @Test func devicesAreListed() throws {
    guard case .array(let devices) = try json("devices --json") else { throw Surprise("not an array") }
    #expect(devices.first?["selector"] == .string("cpu"))
    #expect(devices.count { $0["default"] == .boolean(true) } == 1, "one is the default")
    for device in devices {
      expect("selector", "name", "type", "driver", "memory_bytes", "compute_units", "quirks", "default", in: device)
    }
    let text = try Program.run(["devices"])
    #expect(text.code == 0 && text.out.contains("(default)"))
  }

  /// Checks that PoCL gets a folder of this user if it cannot create its usual one; without a folder it offers no device.
  @Test func pocLHasAFolderOfItsOwn() throws {
    try withTemporaryFolder { folder in
      try Data().write(to: URL(fileURLWithPath: "\(folder)/file"))
      // Nobody can create a folder inside a file, not even the superuser.
      let usual = "\(folder)/file/cache"
      let result = try Program.run(["devices"], environment: ["POCL_CACHE_DIR": usual, "TMPDIR": folder])
      #expect(result.code == 0 && result.out.contains("(default)"), "\(result.out)")
      let own = "\(folder)/resnet-pocl-\(geteuid())"
      #expect(result.out.contains("PoCL keeps what it compiles in \(own), as \(usual) cannot be written"), "\(result.out)")
      #expect(try FileManager.default.attributesOfItem(atPath: own)[.posixPermissions] as? Int == 0o700)
    }
  }

  @Test func memoryThatPoCLHoldsBack() throws {
    let line = ["bench", "model", "resnet20", "--batch-size", "1000000"]
    let result = try Program.run(line, environment: ["POCL_MEMORY_LIMIT": "1"])
    #expect(result.code == 1 && result.errorLines.count == 1)
    #expect(result.complaint.contains("; PoCL offers 1074 MB of this machine's "), "\(result.err)")
    #expect(result.complaint.contains("as POCL_MEMORY_LIMIT=1 says: raise it, or unset it"), "\(result.err)")
  }

  @Test func withoutADriverTheReferenceIsLeft() throws {
    let environment = ["OCL_ICD_VENDORS": "/nonexistent", "OPENCL_VENDOR_PATH": "/nonexistent"]
    let result = try Program.run(["devices"], environment: environment)
    #expect(result.code == 0 && result.out.contains("CPU reference") && result.out.contains("pocl-opencl-icd"))
    #expect(try Program.run(["summary", "resnet20", "--device", "cpu"], environment: environment).code == 0)
  }

  @Test func runLeavesItsFiles() throws {
    let run = "\(Samples.folder)/run"
    for name in ["config.json", "metrics.jsonl", "layers.jsonl", "last.safetensors", "best.safetensors"] {
      #expect(exists("\(run)/\(name)"), "\(name)")
    }
    #expect(exists("\(run)/state-00000000.safetensors") && exists("\(run)/state-00000002.safetensors"))
    let lines = try String(contentsOfFile: "\(run)/metrics.jsonl", encoding: .utf8).split(separator: "\n")
    let epoch = try JSON(parsing: String(try #require(lines.last)))
    #expect(epoch["kind"] == .string("epoch"))
    expect(
      "epoch", "step", "loss", "accuracy", "learning_rate", "images_per_second", "waiting", "validation_loss",
      "validation_accuracy",
      in: epoch)
    #expect(!(try FileManager.default.contentsOfDirectory(atPath: run)).contains { $0.hasPrefix(".tmp") })
  }

  @Test func everyStepIsLoggedWhereAsked() throws {
    try withTemporaryFolder { folder in
      let line =
        "train --dataset synthetic --model resnet8 --batch-size 4 --limit-train 20 --limit-validation 4 --max-steps 3 "
        + "--log-every 1 --output a"
      let result = try Program.onReference(line, in: folder)
      #expect(result.code == 0 && result.err.isEmpty, "\(result.err)")
      let kinds = try String(contentsOfFile: "\(folder)/a/metrics.jsonl", encoding: .utf8).split(separator: "\n").map {
        let value = try JSON(parsing: String($0))
        expect("epoch", "step", "loss", "accuracy", "learning_rate", "images_per_second", in: value)
        return value["kind"]
      }
      #expect(kinds == [.string("step"), .string("step"), .string("step"), .string("epoch")])
    }
  }

  @Test func aFinishedRunIsTrainedOn() throws {
    try withTemporaryFolder { folder in
      let line =
        "train --dataset synthetic --model resnet8 --batch-size 4 --limit-train 8 --limit-validation 4 --epochs 1 --log-every 1 "
        + "--output a"
      #expect(try Program.onReference(line, in: folder).code == 0)
      let done = try Program.onReference("train --resume a", in: folder)
      #expect(done.code == 0 && done.out.contains("to train on, add --epochs with a larger number"), "\(done.out)")
      let more = try Program.onReference("train --resume a --epochs 2", in: folder)
      #expect(more.code == 0 && more.err.isEmpty, "\(more.err)")
      #expect(
        more.out.contains("2 epochs, where the run had 1: the learning rate goes on as in a run of that length"), "\(more.out)")
      // The interval of the log is remembered.
      let log = try String(contentsOfFile: "\(folder)/a/metrics.jsonl", encoding: .utf8)
      #expect(log.split(separator: "\n").count == 6, "\(log)")
      let less = try Program.onReference("train --resume a --epochs 1", in: folder)
      #expect(less.code == 1 && less.complaint.contains("--epochs 1: the run is in epoch 2 already"), "\(less.err)")
    }
  }

  @Test func checkpointIsEvaluated() throws {
    let folder = Samples.folder
    let own = try json("evaluate --checkpoint run/last.safetensors --data images.safetensors --json", in: folder)
    #expect(own["images"] == .integer(4))
    expect("loss", "top1", "top5", in: own)
    // The same weights without metadata, with another batch size and on the CPU reference.
    let bare = try json(
      "evaluate --checkpoint bare.safetensors --model resnet8 --dataset tensors --data images.safetensors "
        + "--batch-size 3 --device cpu --json",
      in: folder)
    #expect(own["top1"] == bare["top1"])
    guard case .number(let a) = own["loss"], case .number(let b) = bare["loss"] else { throw Surprise("no losses") }
    #expect(abs(a - b) <= 1e-5 * abs(b))
  }

  @Test func defaultFoldersAreNumbered() throws {
    try withTemporaryFolder { folder in
      let line = "train --dataset synthetic --model resnet8 --batch-size 4 --limit-train 4 --limit-validation 4 --max-steps 1"
      for _ in 0..<2 { #expect(try Program.onReference(line, in: folder).code == 0) }
      let runs = try FileManager.default.contentsOfDirectory(atPath: "\(folder)/runs").sorted()
      #expect(runs == ["resnet8-synthetic", "resnet8-synthetic-2"])
    }
  }

  @Test func modelIsSummarized() throws {
    let summary = try json("summary resnet20 --batch-size 2 --json")
    #expect(summary["parameters"] == .integer(269_722))
    expect("macs", "peak_bytes", "layers", in: summary)
    let recomputed = try json("summary resnet20 --batch-size 2 --recompute --json")
    guard case .integer(let kept)? = summary["peak_bytes"], case .integer(let less)? = recomputed["peak_bytes"] else {
      throw Surprise("no peak_bytes")
    }
    #expect(less < kept && summary["layers"] == recomputed["layers"])
    let text = try Program.run(["summary", "resnet50", "--batch-size", "1"])
    #expect(text.code == 0 && text.out.contains("25,557,032 parameters"), "\(text.err)")
  }

  @Test func operationsAreVerified() throws {
    let report = try json("verify --quick --filter axPool --json")
    expect("device", "cases", in: report)
    #expect(report["failed"] == .integer(0))
    guard case .integer(let passed) = report["passed"] else { throw Surprise("no count") }
    #expect(passed > 0)
  }

  /// Verifies the GPU kernels, with buffers that have nothing behind them.
  @Test func otherKernelsAreVerified() throws {
    let report = try json("verify --quick --filter sumRows --kernels local --separate-buffers --json")
    #expect(report["failed"] == .integer(0) && report["passed"] != .integer(0) && report["factors"] == .string("float32"))
  }

  /// Holds with and without matrix instructions on this device.
  @Test func fastMathematicsSaysWhatItComesTo() throws {
    let line = "\(Samples.benchModel) --steps 1"
    let results = try [line, "\(line) --math fast"].map { try Program.run($0.split(separator: " ").map(String.init)) }
    #expect(results.map(\.code) == [0, 0])
    let bits = "--math fast: the factors of convolutions have 8 significant bits"
    let none = "--math fast: no matrix instructions were found"
    #expect(results[1].out.contains(bits) != results[1].out.contains(none), "\(results[1].out)")
    #expect(!results[0].out.contains("--math"))
  }

  @Test func modelIsMeasured() throws {
    let figures = try json("\(Samples.benchModel) --steps 1 --recompute --json")
    expect("train_images_per_second", "infer_images_per_second", "peak_bytes", "device", in: figures)
    guard case .integer(let resident) = figures["resident_peak_bytes"] else { throw Surprise("no resident peak") }
    #expect(resident > 1 << 20)
    #expect(figures["profile"] == .null)
    let line = "\(Samples.benchModel) --steps 1 --profile"
    let profile = try Program.run(line.split(separator: " ").map(String.init))
    #expect(profile.code == 0 && profile.out.contains("convolution") && profile.out.contains("the host"), "\(profile.err)")
    let steps = try #require(try json(line + " --json")["profile"])
    expect("steps", "step_seconds", "host_seconds", "idle_seconds", "kernels", in: steps)
  }

  /// Checks that two halves of the device share every batch deterministically, and that a resumed run has the same shares.
  @Test func devicesShareTheWork() throws {
    try withTemporaryFolder { folder in
      let line =
        "train --dataset tensors --data \(Samples.many) --model resnet8 --batch-size 7 --limit-train 28 --epochs 1 --device opencl/2 --output"
      let run = { (rest: String) in try Program.run("\(line) \(rest)".split(separator: " ").map(String.init), in: folder) }
      let whole = try run("a")
      #expect(whole.code == 0 && isSilent(whole), "\(whole.err)")
      #expect(whole.out.contains("on 2 × ") && whole.out.contains("each batch of 7 shared: 4 + 3 images"), "\(whole.out)")
      let configuration = try JSON(parsing: String(contentsOfFile: "\(folder)/a/config.json", encoding: .utf8))
      #expect(configuration["shares"] == .array([.integer(1), .integer(1)]))
      #expect(try run("b").code == 0)
      #expect(try contents("\(folder)/a/last.safetensors") == contents("\(folder)/b/last.safetensors"))

      let sums = try ["opencl/2", "opencl"].map {
        try json("evaluate --quiet --checkpoint a/last.safetensors --batch-size 100 --device \($0) --json", in: folder)
      }
      #expect(sums[0]["images"] == sums[1]["images"] && sums[0]["top1"] == sums[1]["top1"])
      let figures = try json("bench model resnet8 --batch-size 3 --image-size 8 --channels 1 --steps 1 --device opencl/2 --json")
      #expect(figures["shares"] == .array([.integer(2), .integer(1)]))
      let report = try json("verify --quick --filter axPool --device opencl/2 --json")
      #expect(report["failed"] == .integer(0))
    }
  }

  /// Gives PoCL a second device with one thread, so that the two must be measured.
  @Test func unlikeDevicesAreMeasured() throws {
    try withTemporaryFolder { folder in
      let line = "train --dataset tensors --data \(Samples.many) --model resnet8 --batch-size 64 --max-steps 1 --output a"
      let devices = ["POCL_DEVICES": "basic pthread"]
      func run(_ line: String) throws -> (text: String, shares: [Int]) {
        let arguments = "\(line) --device opencl:0.0,opencl:0.1".split(separator: " ").map(String.init)
        let result = try Program.run(arguments, environment: devices, in: folder)
        #expect(result.code == 0 && isSilent(result), "\(result.err)")
        let configuration = try JSON(parsing: String(contentsOfFile: "\(folder)/a/config.json", encoding: .utf8))
        guard case .array(let shares) = configuration["shares"] else { throw Surprise("no shares") }
        return (result.out, shares.map { if case .integer(let share) = $0 { share } else { -1 } })
      }
      let first = try run(line)
      #expect(first.shares.count == 2 && first.shares.reduce(0, +) == 64 && first.shares.allSatisfy { $0 > 0 })
      #expect(first.text.contains(" + ") && first.text.contains("shared: \(first.shares[0]) + \(first.shares[1]) images"))
      // A resumed run does not measure the devices again.
      #expect(try run("train --resume a").shares == first.shares)
    }
  }

  @Test func trainingIsProfiled() throws {
    try withTemporaryFolder { folder in
      let line =
        "train --dataset tensors --data \(Samples.many) --model resnet8 --batch-size 4 --limit-train 12 --max-steps 5 --profile --output a"
      let result = try Program.run(line.split(separator: " ").map(String.init), in: folder)
      #expect(result.code == 0 && isSilent(result), "\(result.err)")
      // The profile covers all five steps but the first, in two epochs, and nothing of the validation.
      #expect(result.out.contains("(mean of 4)") && result.out.contains("device idle"), "\(result.out)")
      let gathered = result.out.split(separator: "\n").first { $0.hasPrefix("gather_batch") }
      #expect(gathered?.split(separator: " ").contains("1") == true, "once a step: \(gathered ?? "")")
      #expect(!result.out.contains("inverse_deviation"))
    }
  }

  @Test func operationsAreMeasured() throws {
    let figures = try json("bench kernels resnet8 --batch-size 4 --image-size 8 --channels 1 --repeats 1 --json")
    expect("device", "model", "batch_size", "peak_gflops", "peak_gbps", "train_seconds", "infer_seconds", in: figures)
    guard case .array(let kernels) = figures["kernels"] else { throw Surprise("no kernels") }
    var convolutions = (training: 0, inference: 0)
    for kernel in kernels {
      expect("name", "seconds", "gflops", "gbps", "share", in: kernel)
      guard case .string(let name) = kernel["name"], case .integer(let least) = kernel["least_bytes"],
        case .integer(let moved) = kernel["moved_bytes"], case .array(let ran) = kernel["kernels"],
        case .integer(let training) = kernel["train_count"], case .integer(let inference) = kernel["infer_count"]
      else { throw Surprise("\(kernel)") }
      #expect(moved >= least && !ran.isEmpty, "\(name) moves \(moved) bytes, at least \(least), by \(ran)")
      #expect(training + inference > 0)
      if name.hasPrefix("convolution ") {
        convolutions.training += training
        convolutions.inference += inference
      }
    }
    #expect(convolutions == (7, 7))
    let text = try Program.run(
      "bench kernels resnet18 --batch-size 1 --repeats 1 --filter axPool".split(separator: " ").map(String.init))
    #expect(text.code == 0 && text.out.contains("maxPoolGradient") && text.out.contains("measured peak"), "\(text.err)")
  }

  /// Checks that two runs count as different if all times of one are above all times of the other.
  @Test func measurementsAreCompared() throws {
    try withTemporaryFolder { folder in
      let line = "bench kernels resnet8 --batch-size 1 --image-size 8 --repeats 2 --filter globalAverage"
      let names = ["globalAveragePool [1, 2, 2, 64]", "globalAveragePoolGradient [1, 2, 2, 64]"]
      func old(_ device: String, _ seconds: [Double], _ other: String = "add [1]") throws {
        let entries = zip(names, seconds).map { "{\"name\":\"\($0)\",\"seconds\":\($1)}" }
        try "{\"device\":\"\(device)\",\"kernels\":[\(entries.joined(separator: ",")),{\"name\":\"\(other)\",\"seconds\":1}]}"
          .write(toFile: "\(folder)/old.json", atomically: true, encoding: .utf8)
      }
      try old("another device", [1e-12, 1000])
      let text = try Program.run((line + " --compare old.json").split(separator: " ").map(String.init), in: folder)
      #expect(text.code == 0 && text.err.isEmpty, "\(text.err)")
      #expect(text.out.contains("the devices differ: another device then"), "\(text.out)")
      #expect(text.out.contains("1 slower, 1 faster, 0 within") && text.out.contains("only now: 0, only then: 1"), "\(text.out)")
      let compared = try #require(try json(line + " --compare old.json --json", in: folder)["comparison"])
      guard case .array(let slower) = compared["slower"], case .array(let faster) = compared["faster"] else {
        throw Surprise("\(compared)")
      }
      #expect(slower.map { $0["name"] } == [.string(names[0])] && faster.map { $0["name"] } == [.string(names[1])])

      // The output of a run can be compared with, and its own device does not differ.
      let printed = try Program.run((line + " --json").split(separator: " ").map(String.init), in: folder)
      try printed.out.write(toFile: "\(folder)/old.json", atomically: true, encoding: .utf8)
      let again = try Program.run((line + " --compare old.json").split(separator: " ").map(String.init), in: folder)
      #expect(again.code == 0 && again.out.contains("compared with old.json") && !again.out.contains("differ"), "\(again.out)")
    }
  }

  @Test(arguments: [
    "--help", "train --help", "evaluate --help", "summary --help", "verify --help", "bench kernels --help", "tune --help",
    "cache --help", "import --help", "export --help", "predict --help",
  ])
  func helpIsGiven(line: String) throws {
    let result = try Program.run(line.split(separator: " ").map(String.init))
    #expect(result.code == 0 && result.err.isEmpty && result.out.hasPrefix("OVERVIEW"))
  }
}
