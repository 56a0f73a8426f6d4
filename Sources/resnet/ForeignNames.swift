/// Names that other programs have for options, commands and devices, with the names that these have here. They are no
/// aliases: an error tells the name.
enum ForeignNames {
  /// Words of other programs, the option here, and a remark. An empty option means that there is none. A word may stand in
  /// several lines: the first whose option the command has is the answer.
  private static let options: [(words: String, option: String, remark: String)] = [
    ("--lr --learning_rate --lr0 --base-lr --peak-lr -lr", "--learning-rate", ""),
    ("--batch --bs --batch_size --train-batch-size --batchsize -b -bs", "--batch-size", ""),
    ("--arch --network --net --backbone --architecture --model-name --model_name -a -m", "--model", ""),
    ("--arch --network --net --backbone --model --model-name -a -m", "<model>", ""),
    ("--epoch --num-epochs --n-epochs --nepochs --num_epochs --num-train-epochs -e", "--epochs", ""),
    ("--wd --weight_decay --decay --l2", "--weight-decay", ""),
    ("--early-stopping --early-stop --early_stopping", "--patience", ""),
    ("--class-weight --class_weight --pos-weight", "--class-weights", ""),
    ("--opt --optim --solver", "--optimizer", ""),
    ("--sched --scheduler --lr-scheduler --lr-schedule --lr_scheduler --lr-policy", "--schedule", ""),
    ("--warmup --warmup_epochs --lr-warmup-epochs", "--warmup-epochs", ""),
    ("--warmup-steps --warmup-iters --warmup-ratio", "--warmup-epochs", "fractions of an epoch are allowed"),
    ("--smoothing --label_smoothing", "--label-smoothing", ""),
    ("--drop-path --drop-path-rate --drop_path --drop-connect", "--stochastic-depth", "it takes a drop probability"),
    ("--clip-grad --grad-clip --clip --max-grad-norm --clip-grad-norm --gradient-clip-val", "--clip-norm", ""),
    ("--model-ema --ema-decay --model-ema-decay", "--ema", "it takes the decay, for example --ema 0.999"),
    ("--accum --grad-accum --grad-accum-steps --accumulation-steps --gradient-accumulation-steps", "--accumulate", ""),
    ("--steps --max-iter --max-iters --iterations --num-steps --train-steps", "--max-steps", ""),
    ("--manual-seed --random-seed --random-state", "--seed", ""),
    ("--nesterov-momentum", "--nesterov", ""),
    ("--data-dir --data_dir --data-path --data_path --dataroot --root --train-dir --traindir --folder -d", "--data", ""),
    ("--dataset-name --data-set --ds", "--dataset", ""),
    ("--input --source --images --image -i", "<image>", "images and folders of them are named without an option"),
    ("--img-size --imgsz --img --imsize --img_size --image_size --input-size --resolution --train-crop-size", "--image-size", ""),
    ("--progressive-resizing --progressive-resize --start-res --min-res --min_res", "--resize-from", "it takes the first side"),
    ("--crop-pct --crop-ratio --center-crop-fraction", "--crop-fraction", ""),
    ("--resize-size --val-resize-size", "--resize", ""),
    ("--num-classes --num_classes --nc --n-classes", "--classes", ""),
    ("--num-classes --num_classes --nc --n-classes --classes", "", "the data set or the weights say how many classes there are"),
    ("--names --class-map --labels --label-map --class-to-idx --classes-file", "--class-names", ""),
    ("--workers --num-workers --num_workers --nproc -j", "--threads", ""),
    ("--workers --num-workers --num_workers --nproc --threads -j", "", "images are decoded by a thread for each processor"),
    ("--reprob --re-prob --random-erase --erasing", "--random-erasing", ""),
    ("--aa --auto-augment --autoaugment --randaugment --rand-augment --ta-wide", "--trivial-augment", "it takes no value"),
    ("--color_jitter --jitter", "--color-jitter", ""),
    ("--cutmix-alpha --mixup-alpha", "--cutmix or --mixup", ""),
    ("--augmentation --data-augmentation", "--augment", "it flips and crops as suits the data set"),
    ("--hflip --random-flip --horizontal-flip", "--flip", "it takes random, alternate or none"),
    ("--no-aug --no-augmentation", "--no-augment", ""),
    (
      "--pretrained --weights --ckpt --checkpoint --from-checkpoint --finetune --load --initial-checkpoint --init-from",
      "--init", "it takes a file of weights, as nothing is downloaded"
    ),
    ("--pretrained --weights --ckpt --ckpt-path --model-path --load --init --resume -w", "--checkpoint", ""),
    ("--weights --ckpt --checkpoint --model-path --input -w", "<file>", "the file is named without an option"),
    ("--freeze-backbone --freeze-layers --frozen-stages", "--freeze", "it takes a layer, for example --freeze layer1"),
    ("--layer-decay --lr-mult --lr-multiplier --param-groups", "--learning-rate-scale", "for example fc=10"),
    ("--continue --resume-from --auto-resume --last", "--resume", "it takes the run's folder"),
    (
      "--gpu --gpus --gpu-id --gpu-ids --num-gpus --cuda --use-cuda --use-gpu --rocm --mps --accelerator", "--device",
      deviceRemark
    ),
    ("--no-cuda --no-gpu --cpu", "--device cpu", "that is the slow reference; opencl runs on CPUs too, through PoCL"),
    (
      "--distributed --world-size --nproc-per-node --multi-gpu", "--device", "it takes several, for example opencl:0.0,opencl:1.0"
    ),
    ("--amp --mixed-precision --dtype --autocast --use-amp --native-amp", "--precision", "fp16 or bf16"),
    ("--fp16 --half --float16", "--precision fp16", ""), ("--bf16 --bfloat16", "--precision bf16", ""),
    ("--fp32 --float32", "--precision fp32", ""),
    ("--tf32 --allow-tf32 --fast-math --use-fast-math", "--math fast", ""),
    ("--grad-checkpointing --gradient-checkpointing --checkpoint-activations --remat", "--recompute", ""),
    (
      "--output-dir --output_dir --out --outdir --save-dir --save_dir --log-dir --logdir --project --save --run-name "
        + "--experiment -o", "--output", ""
    ),
    ("--format --onnx --to", "--output", "the ending of the file says its format: .safetensors or .onnx"),
    ("--log-interval --print-freq --log-freq --log-steps --logging-steps -p", "--log-every", ""),
    ("--detect-anomaly --detect_anomaly --terminate-on-nan --skip-nan --nan-policy", "--on-fault", "it takes stop or skip"),
    ("--topk --top-k --top5 -k", "--top", ""),
    ("--test-time-augmentation --tencrop --ten-crop", "--tta", "it takes none, flip or ten-crop"),
    ("--confusion-matrix --cm", "--confusion", "it takes the CSV file to write"),
    ("--top-losses --misclassified", "--worst", "it takes a number of images"),
    ("--deterministic --cudnn-benchmark --benchmark", "", "the same seed gives the same bits on the same device, always"),
    ("--download --hub --from-hub", "", "nothing is downloaded: `--data` and `--init` name files"),
    ("--channels-last --channels_last --memory-format", "", "tensors are always [N,H,W,C]"),
    ("--compile --torchcompile --jit --torchscript", "", "kernels are always compiled for the device, see `resnet tune`"),
  ]

  private static let deviceRemark = "opencl takes the best device, and `resnet devices` lists all"

  private static let commands: [(words: String, command: String)] = [
    ("test eval val validate valid score", "evaluate"), ("infer inference classify run detect", "predict"),
    ("fit finetune fine-tune learn", "train"), ("benchmark perf time", "bench"), ("convert load", "import"), ("save", "export"),
    ("info describe params flops show", "summary"), ("list-devices gpus hardware device", "devices"), ("autotune", "tune"),
    ("plot curves visualize tensorboard dashboard", "report"),
    ("check selftest self-test doctor", "verify"), ("clean clear", "cache"),
    ("purge clean reset delete remove", "clear"), ("show ls", "list"),
  ]

  private static let values: [(words: String, value: String)] = [
    ("half float16 16 amp mixed", "fp16"), ("bfloat16 brain", "bf16"), ("float float32 32 full single", "fp32"),
    ("adam nadam", "adamw"), ("momentum sgdm", "sgd"), ("cos cosineannealing cosineannealinglr", "cosine"),
    ("multistep steplr multisteplr", "step"), ("none fixed", "constant"), ("hflip mirror", "flip"), ("tencrop", "ten-crop"),
  ]

  private static let devices: Set = [
    "cuda", "gpu", "mps", "rocm", "hip", "xpu", "metal", "vulkan", "nvidia", "amd", "intel", "auto", "best", "tpu",
  ]

  /// Returns what the first foreign option among the arguments is called here; nil if there is none.
  static func answer(to arguments: some Collection<String>, of command: HelpDump.Command) -> String? {
    var takesValue = false
    for argument in arguments.prefix(while: { $0 != "--" }) {
      let word = argument.split(separator: "=", maxSplits: 1).first.map(String.init) ?? argument
      if !takesValue, word.hasPrefix("-"), command.argument(word) == nil, let answer = answer(to: word, of: command) {
        return answer
      }
      takesValue = !takesValue && command.argument(argument)?.kind == .option
    }
    return nil
  }

  /// Returns what a foreign option is called here; nil if it is not known.
  static func answer(to word: String, of command: HelpDump.Command) -> String? {
    let known = options.filter { $0.words.split(separator: " ").contains { $0 == word } }
    func isThere(_ option: String) -> Bool { command.argument(String(option.prefix { $0 != " " })) != nil }
    let here = known.first { isThere($0.option) } ?? known.first { $0.option.isEmpty }
    if let entry = here {
      let remark = entry.remark.isEmpty ? "" : ": \(entry.remark)"
      if entry.option.isEmpty { return "there is no \(word) here\(remark)" }
      return "\(word) is \(entry.option.hasPrefix("<") ? "the argument" : "called") \(entry.option) here\(remark)"
    }
    for entry in known where entry.option.hasPrefix("--") {
      let name = String(entry.option.prefix { $0 != " " })
      if let others = Suggestions.commands(with: name) { return "\(word) is called \(entry.option) here, an option of \(others)" }
    }
    return nil
  }

  /// Returns what a command of other programs is called here; nil if it is not known.
  static func command(_ word: String, among names: [String]) -> String? {
    commands.first { entry in names.contains(entry.command) && entry.words.split(separator: " ").contains { $0 == word } }?
      .command
  }

  /// Returns what a value of other programs is called here; nil if it is not known.
  static func value(_ word: String, among names: [String]) -> String? {
    values.first { entry in
      names.contains(entry.value) && entry.words.split(separator: " ").contains { $0 == word.lowercased() }
    }?.value
  }

  /// Returns what to use instead of a device that other programs know; nil if it is not known.
  static func device(_ name: String) -> String? {
    let isNumber = !name.isEmpty && name.allSatisfy { $0.isASCII && ($0.isNumber || $0 == ",") }
    guard isNumber || devices.contains(String(name.lowercased().prefix { $0 != ":" })) else { return nil }
    return "--device \(name): devices are those of OpenCL here; \(deviceRemark)"
  }
}
