import Foundation
import Testing

/// An invocation that must be refused.
struct Wrong: Sendable, CustomTestStringConvertible {
  /// Arguments, separated by spaces; `''` is an empty argument.
  let line: String
  /// Exit code: 64 for wrong usage, 1 for any other error.
  let code: Int32
  /// Texts that the first line of the message must contain.
  let names: [String]
  var environment: [String: String] = [:]

  init(_ line: String, _ code: Int32, _ names: String..., environment: [String: String] = [:]) {
    (self.line, self.code, self.names, self.environment) = (line, code, names, environment)
  }

  var arguments: [String] { line.split(separator: " ").map { $0 == "''" ? "" : String($0) } }
  var testDescription: String { line }

  /// Runs the program beside the samples and checks the exit code and the first line of the message.
  /// - Parameter limit: seconds after which the program is killed.
  @discardableResult
  func check(limit: Double = 900) throws -> Program.Result {
    // Invocations that must not begin a run have an output folder of their own, since two runs in one folder are another error.
    let arguments = arguments.map { $0 == "refused" ? "refused/\(UUID().uuidString)" : $0 }
    let result = try Program.run(arguments, environment: environment, in: Samples.folder, limit: limit)
    #expect(!result.wasKilled, "ended by signal \(result.code): \(result.err.prefix(2000))")
    #expect(result.code == code, "\(result.err)")
    #expect(result.complaint.hasPrefix("Error: "), "\(result.err)")
    for name in names { #expect(result.complaint.contains(name), "'\(name)' is not named: \(result.err)") }
    return result
  }
}

/// Checks every error that a user can make: the message is one line on standard error that names the cause.
@Suite struct WrongInvocationTests {
  @Test(arguments: usage + sizes + models) func usageIsRefused(_ wrong: Wrong) throws { try check(wrong) }

  @Test(arguments: data + weights) func fileIsRefused(_ wrong: Wrong) throws { try check(wrong) }

  @Test(arguments: exchanges) func exchangeIsRefused(_ wrong: Wrong) throws { try check(wrong) }

  @Test(arguments: runs + devices) func runOrDeviceIsRefused(_ wrong: Wrong) throws { try check(wrong) }

  private func check(_ wrong: Wrong) throws {
    let result = try wrong.check(limit: 300)
    // A wrong usage is followed by a reminder of the correct usage.
    if wrong.code == 1 && wrong.environment["RESNET_KERNELS"] != "kernels" {
      #expect(result.errorLines.count == 1, "\(result.err)")
    }
    #expect(!exists("\(Samples.folder)/runs"), "something was begun")
  }

  static let usage = [
    Wrong("trian", 64, "'trian'"), Wrong("--bogus", 64, "--bogus"), Wrong("devices extra", 64, "'extra'"),
    Wrong("devices --bogus", 64, "--bogus"), Wrong("train --bogus", 64, "--bogus"), Wrong("train --epochs", 64, "--epochs"),
    Wrong("train --epochs x", 64, "'x'", "--epochs"), Wrong("train --epochs 1.5", 64, "'1.5'"),
    Wrong("train --epochs -1", 64, "--epochs"), Wrong("train --schedule linear", 64, "'linear'", "cosine"),
    Wrong("train --shortcut D", 64, "'D'", "'A'"), Wrong("train --norm layer", 64, "'layer'", "'batch'"),
    Wrong("study degradation --depths 20", 64, "--depths", "at least 2"),
    Wrong("study depth --depths 20,21", 64, "resnet21", "6n+2"), Wrong("study depth --depths 20,18", 64, "resnet18"),
    Wrong("study gradients --depths 20,20", 64, "twice"), Wrong("study shortcuts --depths 20,x", 64, "'20,x'"),
    Wrong("study depth --seeds 0", 64, "--seeds 0"), Wrong("study depth --minutes 0", 64, "--minutes"),
    Wrong("study depth --minutes 5 --epochs 2", 64, "--minutes", "--epochs"),
    Wrong("study depth --patience 2", 64, "--patience"), Wrong("study depth --batch-size auto", 64, "--batch-size auto"),
    Wrong("study depth --image-size 32", 64, "--image-size", "folder"),
    Wrong("train --stride v3", 64, "'v3'", "v1.5"),
    Wrong("train --seed=-1", 64, "'-1'", "--seed"), Wrong("train --seed 99999999999999999999999", 64, "--seed"),
    Wrong("train --nesterov --momentum 0", 64, "--nesterov", "--momentum"), Wrong("train --augment --dataset", 64, "--dataset"),
    Wrong("train --dataset imagenet", 64, "'imagenet'", "fashion-mnist"), Wrong("train --dataset ''", 64, "''", "cifar10"),
    Wrong("train --data ''", 64, "--data"), Wrong("train --init ''", 64, "--init"), Wrong("train --output ''", 64, "--output"),
    Wrong("train --resume ''", 64, "--resume"), Wrong("train --resume run --output other", 64, "--output"),
    Wrong("train --resume run --batch-size 3", 64, "--batch-size"), Wrong("train --resume run --shortcut A", 64, "--shortcut"),
    Wrong("train --resume run --no-augment", 64, "augment"), Wrong("train --resume run --recompute", 64, "--recompute"),
    Wrong("evaluate --checkpoint x --recompute", 64, "--recompute"), Wrong("train --recompute=2", 64, "--recompute"),
    Wrong("evaluate", 64, "--checkpoint"),
    Wrong("evaluate --checkpoint ''", 64, "--checkpoint"), Wrong("evaluate --checkpoint x --dataset foo", 64, "'foo'"),
    Wrong("evaluate --checkpoint x --shortcut A", 64, "--shortcut", "--model"),
    Wrong("evaluate --checkpoint bare.safetensors --model resnet8", 64, "bare.safetensors", "--dataset"),
    Wrong("evaluate --checkpoint bare.safetensors --dataset synthetic", 64, "bare.safetensors", "--model"),
    Wrong("summary", 64, "<model>"), Wrong("summary resnet20 extra", 64, "'extra'"), Wrong("bench model", 64, "<model>"),
    Wrong("bench modle", 64, "'modle'"), Wrong("bench kernels --filter nosuch", 64, "'nosuch'"),
    Wrong("verify --filter nosuch", 64, "'nosuch'"), Wrong("bench model resnet8 --profile --device cpu", 64, "--profile"),
    Wrong("tune resnet8 extra", 64, "'extra'"), Wrong("tune --device cpu", 64, "cpu"), Wrong("tune --budget 0", 64, "--budget 0"),
    Wrong("tune --budget nan", 64, "--budget nan"), Wrong("tune --budget soon", 64, "'soon'"),
    Wrong("tune resnet21", 64, "resnet20"),
    Wrong("tune --batch-size 0", 64, "--batch-size 0"), Wrong("tune --image-size 0", 64, "--image-size 0"),
    Wrong("tune --channels 0", 64, "--channels 0"), Wrong("cache lsit", 64, "'lsit'"),
    Wrong("train --tune slow", 64, "'slow'", "fast"), Wrong("train --tune fast --device cpu", 64, "--tune fast"),
    Wrong("evaluate --checkpoint x --tune full --device cpu", 64, "--tune full"),
    Wrong("bench model resnet8 --tune", 64, "--tune"),
    Wrong("train --precision fp8", 64, "'fp8'", "bf16"),
    Wrong("train --precision bf16 --device cpu", 64, "--precision bf16", "cpu"),
    Wrong("evaluate --checkpoint x --precision fp16 --device cpu", 64, "--precision fp16"),
    Wrong("bench model resnet8 --precision half", 64, "'half'"), Wrong("train --resume run --precision fp16", 64, "--precision"),
    Wrong("train --math fast --device cpu", 64, "--math fast", "cpu"), Wrong("verify --math quick", 64, "'quick'", "fast"),
    Wrong("verify --kernels local --device cpu", 64, "--kernels", "cpu"),
    Wrong("verify --separate-buffers --device cpu", 64, "--separate-buffers"),
    Wrong("verify --candidates --device opencl/2", 64, "--candidates", "opencl/2"),
    Wrong("verify --kernels shared", 64, "'shared'", "local"),
    Wrong("train --profile --device cpu", 64, "--profile"), Wrong("bench kernels resnet19", 64, "'resnet19'"),
    Wrong("bench kernels --compare ''", 64, "--compare"), Wrong("bench kernels --compare missing", 1, "missing", "No such file"),
    Wrong("bench kernels --compare nothing", 1, "nothing", "folder"),
    Wrong("bench kernels --compare empty", 1, "empty", "bench kernels --json"),
    Wrong("bench kernels --compare garbage.safetensors", 1, "garbage.safetensors", "byte 0"),
    Wrong("bench kernels --compare run/config.json", 1, "run/config.json", "device"),
    Wrong("bench kernels --compare bench-seconds.json", 1, "bench-seconds.json", "entry 0"),
  ]

  static let sizes = [
    Wrong("train --epochs 0", 64, "--epochs 0"), Wrong("train --epochs=-1", 64, "--epochs -1"),
    Wrong("train --epochs 99999999999999999999", 64, "99999999999999999999"),
    Wrong("train --epochs 9223372036854775807", 64, "--epochs 9223372036854775807"),
    Wrong("train --batch-size 0", 64, "--batch-size 0"),
    Wrong("train --batch-size=-5", 64, "--batch-size -5"), Wrong("train --batch-size 99999999999999999999", 64, "--batch-size"),
    Wrong("train --learning-rate nan", 64, "--learning-rate nan"), Wrong("train --learning-rate inf", 64, "--learning-rate inf"),
    Wrong("train --learning-rate=-0.1", 64, "--learning-rate -0.1"), Wrong("train --learning-rate 1e400", 64, "--learning-rate"),
    Wrong("train --learning-rate fast", 64, "'fast'"), Wrong("train --momentum 1", 64, "--momentum 1"),
    Wrong("train --momentum nan", 64, "--momentum nan"), Wrong("train --weight-decay=-1", 64, "--weight-decay -1"),
    Wrong("train --weight-decay inf", 64, "--weight-decay inf"), Wrong("train --warmup-epochs=-1", 64, "--warmup-epochs -1"),
    Wrong("train --schedule one-cycle --warmup-epochs 1", 64, "--warmup-epochs 1", "one-cycle", "rise of its own"),
    Wrong("train --warmup-epochs nan", 64, "--warmup-epochs nan"), Wrong("train --label-smoothing 2", 64, "--label-smoothing 2"),
    Wrong("train --label-smoothing nan", 64, "--label-smoothing nan"), Wrong("train --max-steps 0", 64, "--max-steps 0"),
    Wrong("train --limit-train 0", 64, "--limit-train 0"), Wrong("train --limit-train=-1", 64, "--limit-train -1"),
    Wrong("train --log-every 0", 64, "--log-every 0", "at least one step"),
    Wrong("train --save-every 0", 64, "--save-every 0", "at least one step"),
    Wrong("train --save-every 0s", 64, "--save-every 0s", "at least a second"),
    Wrong("train --save-every often", 64, "--save-every"), Wrong("train --keep-states 0", 64, "--keep-states 0"),
    Wrong("train --allow-data-change", 64, "--allow-data-change", "--resume"),
    Wrong("evaluate --checkpoint x --batch-size 0", 64, "--batch-size 0"),
    Wrong("summary resnet20 --batch-size 0", 64, "--batch-size 0"), Wrong("summary resnet20 --classes 0", 64, "--classes 0"),
    Wrong("summary resnet20 --channels 0", 64, "--channels 0"), Wrong("summary resnet20 --image-size=-1", 64, "--image-size -1"),
    Wrong("summary resnet20 --image-size 9223372036854775807", 64, "--image-size"),
    Wrong("summary resnet20 --image-size 1048576", 1, "1048576", "--batch-size"),
    Wrong("summary resnet20 --image-size 1048576 --batch-size 1048576 --channels 4096", 1, "1048576", "smaller"),
    Wrong("summary resnet50 --image-size 1", 1, "resnet50", "larger"),
    Wrong("bench model resnet20 --batch-size 0", 64, "--batch-size 0"),
    Wrong("bench model resnet20 --steps 0", 64, "--steps 0"), Wrong("bench kernels --repeats 0", 64, "--repeats 0"),
    Wrong("bench kernels --batch-size 1000000", 1, "memory", "--batch-size"),
    Wrong("bench kernels --batch-size 0", 64, "--batch-size 0"), Wrong("bench kernels --image-size 0", 64, "--image-size 0"),
    Wrong("bench kernels resnet50 --image-size 1 --batch-size 1", 1, "resnet50", "larger"),
    Wrong("bench model resnet20 --batch-size 1048576 --image-size 1048576", 1, "1048576", "smaller"),
    Wrong("bench model resnet20 --batch-size 1000000", 1, "memory", "--recompute --batch-size", "the largest that fits"),
    Wrong("bench model resnet20 --batch-size 1000000 --device cpu", 1, "memory", "--batch-size"),
    Wrong("train --model resnet6002 --dataset synthetic --batch-size 2048 --output huge", 1, "memory", "--batch-size"),
  ]

  static let models =
    [
      "resnet21", "resnet0", "resnet", "plain50", "ResNet20", "resnet020", "resnet-20", "resnet99999999999999999999", "vgg16",
      "''",
    ].map { Wrong("train --model \($0)", 64, "resnet20") } + [
      Wrong("summary foo", 64, "'foo'", "resnet20"), Wrong("bench model resnet19", 64, "'resnet19'"),
      Wrong("evaluate --checkpoint x --model resnet1", 64, "'resnet1'"),
      Wrong("train --model plain20 --shortcut A", 64, "plain20", "shortcut"),
      Wrong("train --model preresnet20 --norm none", 64, "preresnet20", "--norm"),
      Wrong("train --model resnet20 --norm none --zero-init", 64, "--zero-init"),
      Wrong("train --model plain20 --zero-init", 64, "plain20"),
      Wrong("train --model resnet18 --stride v1", 64, "resnet18 has no bottlenecks"),
      Wrong("summary plain34 --shortcut B", 64, "plain34"),
    ]

  private static func tensors(_ name: String, _ names: String...) -> Wrong {
    Wrong(
      line: "train --model resnet8 --dataset tensors --data \(name).safetensors --output refused", code: 1, names: [name] + names)
  }

  private static func images(_ folder: String, _ names: String...) -> Wrong {
    Wrong(line: "train --model resnet8 --dataset mnist --data \(folder) --output refused", code: 1, names: [folder] + names)
  }

  static let data = [
    Wrong("train --dataset mnist", 1, "--data"), Wrong("train --dataset tensors", 1, "--data"),
    Wrong("train --dataset synthetic --data images.safetensors", 1, "--data"),
    Wrong("train --dataset cifar10 --data missing", 1, "missing", "data_batch_1.bin"),
    Wrong("train --dataset cifar100 --data nothing", 1, "nothing", "train.bin"),
    Wrong("train --dataset cifar10 --data cifar-short", 1, "cifar-short/data_batch_1.bin", "truncated"),
    Wrong("train --dataset cifar100 --data cifar-label", 1, "cifar-label/train.bin", "200"),
    Wrong("train --dataset fashion-mnist --data nothing", 1, "nothing", "train-images"),
    Wrong("train --dataset tensors --data nothing", 1, "nothing", "folder"),
    Wrong("train --dataset tensors --data /dev/zero", 1, "/dev/zero"), Wrong("train --dataset tensors --data empty", 1, "empty"),
    tensors("missing", "No such file"), tensors("garbage"), tensors("truncated", "truncated"),
    tensors("truncated-header", "truncated"),
    tensors("negative-label", "-1"), tensors("large-label", "70000"), tensors("float-labels", "labels"),
    tensors("few-labels", "labels"), tensors("no-labels", "labels"), tensors("other-names", "images"), tensors("nan", "images"),
    tensors("infinite", "images"), tensors("flat", "[8, 64]"), tensors("no-images", "empty"),
    tensors("integers", "int32"), tensors("channels-first", "[N, C, H, W]", "transpose"),
    tensors("half-validation", "validation_labels"), tensors("other-validation", "validation_images"),
    Wrong("train --model resnet8 --dataset tensors --data one-pixel.safetensors --output refused", 1, "one image"),
    images("missing"), images("images.safetensors"), images("nothing"), images("idx-magic", "0x01020304"),
    images("idx-short", "truncated"), images("idx-long", "too many"), images("idx-label", "10"), images("idx-count", "labels"),
    images("idx-huge"), images("idx-gzip", "truncated"), images("idx-corrupt", "corrupt"), images("idx-empty", "truncated"),
  ]

  private static func initial(_ file: String, _ names: String...) -> Wrong {
    Wrong(
      line: "train --model resnet8 --dataset tensors --data images.safetensors --output refused --init \(file)", code: 1,
      names: [file] + names)
  }

  private static func checkpoint(_ name: String, _ names: String...) -> Wrong {
    Wrong(line: "evaluate --checkpoint \(name).safetensors --data images.safetensors", code: 1, names: [name] + names)
  }

  static let weights = [
    initial("missing.safetensors", "No such file"), initial("nothing", "folder"), initial("empty"),
    initial("garbage.safetensors"),
    initial("truncated.safetensors", "truncated"), initial("weights.pth", "zip"), initial("images.safetensors", "conv1.weight"),
    initial("lacking.safetensors", "layer1.0.bn1.weight"), initial("surplus.safetensors", "layer9.weight"),
    initial("width.safetensors", "fc.weight", "[1, 32]"), initial("not-finite.safetensors", "fc.bias"),
    initial("integer-weights.safetensors", "fc.bias", "int32"),
    Wrong(
      "train --model resnet14 --dataset tensors --data images.safetensors --output refused --init bare.safetensors", 1,
      "bare.safetensors", "layer1.1.conv1.weight"),
    checkpoint("missing", "No such file"), checkpoint("garbage"), checkpoint("truncated", "truncated"),
    checkpoint("not-finite", "fc.bias"),
    checkpoint("metadata", "resnet"), checkpoint("absurd", "channels"), checkpoint("other-model", "resnet9"),
    checkpoint("other-data", "words"),
    Wrong("evaluate --checkpoint weights.pth", 1, "weights.pth"), Wrong("evaluate --checkpoint nothing", 1, "nothing"),
    Wrong("evaluate --checkpoint run/last.safetensors --data color.safetensors", 1, "run/last.safetensors", "channels"),
    Wrong("evaluate --checkpoint run/last.safetensors --data more-classes.safetensors", 1, "run/last.safetensors", "classes"),
    Wrong("evaluate --checkpoint run/last.safetensors --model resnet14 --data images.safetensors", 64, "resnet8, not resnet14"),
    checkpoint("no-size", "size [0, 8]"), checkpoint("three-sizes", "size [8, 8, 8]"), checkpoint("two-means", "1 channels"),
    checkpoint("no-deviation", "1 channels"), checkpoint("no-tensors", "no tensors"),
    checkpoint("no-resize", "a resize of images that is impossible"),
    Wrong("predict --checkpoint small-resize.safetensors empty --mean 0 --std 1", 1, "small-resize.safetensors", "a crop of 8"),
    initial("run/state-00000002.safetensors", "best.safetensors"),
    Wrong("\(Samples.run) --output refused --init run/last.safetensors --zero-init", 64, "--zero-init", "--init"),
    Wrong("\(Samples.run) --output refused --learning-rate-scale fc=2 --learning-rate-scale fc=3", 64, "fc=3", "one already"),
    Wrong("train --resume run-bf16 --device cpu --allow-config-change", 1, "--precision bf16", "--device cpu"),
    Wrong("\(Samples.run) --output refused --freeze layer9", 64, "--freeze layer9", "layer3"),
    Wrong("\(Samples.run) --output refused --freeze layer", 64, "--freeze layer:", "layer3"),
    Wrong("\(Samples.run) --output refused --learning-rate-scale fcc=2", 64, "--learning-rate-scale fcc", "fc"),
    Wrong(
      "\(Samples.run) --output refused --freeze layer1 --learning-rate-scale layer1.0=2", 64, "layer1.0", "--freeze layer1"),
    Wrong("train --bias-rate-scale 0", 64, "--bias-rate-scale 0.0", "above 0"),
    Wrong("train --resize-from 0", 64, "--resize-from 0", "at least one pixel"),
    Wrong("\(Samples.run) --output refused --resize-from 8", 1, "--resize-from 8", "8×8"),
    Wrong("train --lookahead 0", 64, "--lookahead 0", "at least one step"),
    Wrong("train --stochastic-depth 1", 64, "--stochastic-depth 1.0", "below 1"),
    Wrong("\(Samples.run) --output refused --model plain8 --stochastic-depth 0.2", 64, "--stochastic-depth 0.2", "no shortcuts"),
    Wrong("\(Samples.run) --output refused --warmup-epochs 2", 64, "--warmup-epochs 2", "has 1"),
    Wrong("\(Samples.run) --output refused --augment --no-augment", 64, "--no-augment"),
    Wrong("\(Samples.run) --output refused --crop-padding 8", 1, "--crop-padding 8", "8×8"),
    Wrong("\(Samples.run) --show-augmentation x.jpg", 64, "--show-augmentation", ".png"),
    Wrong("\(Samples.run) --show-augmentation /nowhere/x.png", 1, "no folder /nowhere"),
    tensors("one-class", "one class"),
    Wrong("evaluate --checkpoint headless.safetensors --model resnet8 --dataset tensors --data images.safetensors", 1, "fc.bias"),
    Wrong(
      "evaluate --checkpoint images.safetensors --model resnet8 --dataset tensors --data images.safetensors", 1, "conv1.weight"),
  ]

  static let runs = [
    Wrong("train --resume missing", 1, "missing"), Wrong("train --resume nothing", 1, "nothing"),
    Wrong("train --resume images.safetensors", 1, "images.safetensors"),
    Wrong("train --resume run-config", 1, "run-config/config.json"),
    Wrong("train --resume run-text", 1, "run-text/config.json"),
    Wrong("train --resume run-newer", 1, "run-newer/config.json", "a newer version", "3", "begin a new run"),
    Wrong(
      "train --resume run-model", 1, "run-model/config.json", "model.name is \"resnet14\" and was \"resnet8\"",
      "--allow-config-change"),
    Wrong("train --resume run-model --allow-config-change", 1, "run-model/state-00000002.safetensors"),
    Wrong("train --resume run --epochs 0", 64, "--epochs 0"),
    Wrong("train --resume run-sizeless", 1, "run-sizeless/config.json", "--image-size 0"),
    Wrong("train --resume run-resize", 1, "run-resize/config.json", "a crop of 8 pixels cannot be cut", "resized to 4"),
    Wrong("train --resume run-batch", 1, "-4"), Wrong("train --resume run-words", 1, "words"),
    Wrong("train --resume run-classes", 1, "model.classes is 2 and was 3"),
    Wrong("train --resume run-classes --allow-config-change", 1, "classes"),
    Wrong("train --resume run-data", 1, "gone.safetensors"),
    Wrong(
      "train --resume run-truncated", 1, "run-truncated/state-00000002.safetensors", "truncated",
      "--init run-truncated/last.safetensors"),
    Wrong("train --resume run-nowhere", 1, "run-nowhere"),
    Wrong("train --resume run-weights", 1, "run-weights/state-00000002.safetensors"),
    Wrong("train --resume run-epoch", 1, "run-epoch/state-00000002.safetensors"),
    Wrong("train --resume run-step", 1, "run-step/state-00000005.safetensors"),
    Wrong("\(Samples.run) --output run", 1, "run", "--resume"),
    Wrong("\(Samples.run) --output images.safetensors", 1, "images.safetensors"),
    Wrong("\(Samples.run) --output /proc/x", 1, "/proc/x"), Wrong("\(Samples.run) --output /dev/null/x", 1, "/dev/null"),
    Wrong(
      "train --dataset tensors --data many.safetensors --model resnet8 --batch-size 4 --output diverged --learning-rate 1e30 "
        + "--warmup-epochs 0", 1, "--learning-rate"),
  ]

  private static let noDriver = ["OCL_ICD_VENDORS": "/nonexistent", "OPENCL_VENDOR_PATH": "/nonexistent"]

  static let devices =
    ["gpu", "''", "opencl:", "opencl:a.b", "opencl:1", "opencl:-1.0", "opencl:0.0.0", "CPU", "cuda:0"].map {
      Wrong("\(Samples.run) --output refused --device \($0)", 64, "--device")
    } + [
      Wrong("bench model resnet8 --device cpu,opencl", 64, "--device 'cpu,opencl'", "alone"),
      Wrong("bench model resnet8 --device opencl:0.0,", 64, "''", "'opencl:0.0,'"),
      Wrong("bench model resnet8 --device opencl:0.0,gpu", 64, "'gpu' in 'opencl:0.0,gpu'"),
      Wrong("bench model resnet8 --device opencl:0.0/0", 64, "opencl:0.0/0"),
      Wrong("bench model resnet8 --device opencl/2/2", 64, "opencl/2/2"),
      Wrong("bench model resnet8 --device cpu/2", 64, "cpu/2"),
      Wrong("bench model resnet8 --device opencl:0.0/2,opencl:0.0", 64, "opencl:0.0 twice"),
      Wrong("bench model resnet8 --device opencl:0.0,opencl:9.9", 1, "opencl:9.9", "resnet devices"),
      Wrong("bench model resnet8 --device opencl,opencl:0.0", 1, "opencl:0.0 twice"),
      Wrong("bench model resnet8 --device opencl/100000", 1, "opencl/100000", "compute units"),
      Wrong("bench model resnet8 --device opencl/2 --profile", 64, "--profile", "opencl/2"),
      Wrong("\(Samples.run) --output refused --device opencl/2 --profile", 64, "--profile", "opencl/2"),
      Wrong("bench model resnet8 --device opencl/2 --tune fast", 64, "--tune fast", "opencl/2"),
      Wrong("bench kernels resnet8 --device opencl/2", 64, "bench kernels", "opencl/2"),
      Wrong("tune resnet8 --device opencl/2", 64, "tune", "opencl/2"),
      Wrong("bench model resnet20 --batch-size 1000000 --device opencl/2", 1, "memory", "--batch-size"),
      Wrong("\(Samples.run) --output refused --device opencl:9.9", 1, "opencl:9.9", "resnet devices"),
      Wrong("bench model resnet8 --device opencl:99999999999999999999.0", 1, "opencl:99999999999999999999.0"),
      Wrong("\(Samples.run) --output refused", 1, "no OpenCL device", "--device cpu", environment: noDriver),
      Wrong("tune", 1, "no OpenCL device", environment: noDriver),
      Wrong("cache list", 1, "HOME", environment: ["HOME": "", "XDG_CACHE_HOME": ""]),
      Wrong("summary resnet20", 1, "no OpenCL device", "--device cpu", environment: noDriver),
      Wrong("verify --quick", 1, "no OpenCL device", environment: noDriver),
      Wrong("\(Samples.run) --output refused", 1, "missing/", "RESNET_KERNELS", environment: ["RESNET_KERNELS": "missing"]),
      Wrong("\(Samples.run) --output refused", 1, "kernels/", "RESNET_KERNELS", environment: ["RESNET_KERNELS": "kernels"]),
    ]
}

extension Wrong {
  init(line: String, code: Int32, names: [String]) { (self.line, self.code, self.names) = (line, code, names) }
}
