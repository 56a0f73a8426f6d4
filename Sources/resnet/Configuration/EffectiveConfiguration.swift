import Datasets
import Images
import Models
import NN
import Support
import Training
import Yams

/// All options of a run as YAML, which ``ConfigurationFile`` reads back: what was given as it was given, and the rest as the run
/// has it.
struct EffectiveConfiguration {
  /// Options without dashes, in the order of the help, with their values.
  private var options: [(name: String, values: [String])]

  /// - Parameters:
  ///   - run: settings of the run.
  ///   - given: arguments of the command line, with those of files.
  init(_ run: RunConfiguration, _ given: GivenArguments?) {
    options = run.options
    var seen: Set<String> = []
    for (name, value) in given?.options ?? [] where !ConfigurationFile.excluded.contains(String(name.dropFirst(2))) {
      let isOff = name.hasPrefix("--no-")
      let key = String(name.dropFirst(isOff ? 5 : 2))
      let text = value ?? (isOff ? "false" : "true")
      let isRepeating = HelpDump.root.command(named: ["train"]).argument(name)?.isRepeating ?? false
      if let index = options.firstIndex(where: { $0.name == key }) {
        options[index].values = isRepeating && seen.contains(key) ? options[index].values + [text] : [text]
      } else {
        options.append((key, [text]))
      }
      seen.insert(key)
    }
  }

  /// The options as YAML.
  /// - Throws: never for options that the parser has accepted.
  func yaml() throws -> String {
    let command = HelpDump.root.command(named: ["train"])
    let pairs = options.map { name, values in
      let isRepeating = command.argument("--\(name)")?.isRepeating ?? false
      return (Node(name), isRepeating ? Node(values.map { Node($0) }) : Node(values.last ?? ""))
    }
    return try Yams.serialize(node: Node(pairs), allowUnicode: true)
  }
}

extension RunConfiguration {
  /// The options of `resnet train` that make these settings. Options that are missing were not given, and have no value.
  fileprivate var options: [(name: String, values: [String])] {
    var all: [(String, [String])] = []
    func add(_ name: String, _ value: (some CustomStringConvertible)?) { if let value { all.append((name, ["\(value)"])) } }
    add("dataset", data.name)
    add("data", data.path)
    add("labels", data.labels)
    if let photographs = data.photographs {
      add("image-size", photographs.imageSize)
      add("resize", photographs.evaluation.resize)
      add("crop-fraction", photographs.evaluation.cropFraction)
      add("interpolation", photographs.evaluation.interpolation?.rawValue)
      add("damaged", photographs.damaged.rawValue)
    }
    add("limit-train", data.limitTrain)
    add("resize-from", resizeFrom)
    add("shuffle", shuffle)
    add("model", model.name)
    add("shortcut", model.shortcut?.rawValue)
    if model.stridePlacement != .threeByThree { add("stride", model.stridePlacement.rawValue) }
    if model.normalization != .batch { add("norm", model.normalization.rawValue) }
    if model.zeroInitLastBatchNorm { add("zero-init", true) }
    add("epochs", epochs)
    add("batch-size", batchSize)
    add("accumulate", accumulate)
    add("optimizer", optimizer.kind.rawValue)
    add("learning-rate", optimizer.learningRate)
    add("bias-rate-scale", biasRateScale)
    add("momentum", optimizer.momentum)
    if optimizer.nesterov { add("nesterov", true) }
    add("weight-decay", optimizer.weightDecay)
    add("schedule", schedule.rawValue)
    add("warmup-epochs", warmupEpochs)
    add("label-smoothing", labelSmoothing)
    add("stochastic-depth", stochasticDepth)
    add("clip-norm", clipNorm)
    add("ema", averageDecay)
    add("lookahead", lookahead)
    add("max-steps", maxSteps)
    add("on-fault", onFault?.rawValue)
    add("seed", seed)
    all += augmentation.options(for: DatasetKind(rawValue: data.name))
    add("init", initialWeights)
    if !frozen.isEmpty { all.append(("freeze", frozen)) }
    if !learningRateScales.isEmpty {
      all.append(("learning-rate-scale", learningRateScales.map { "\($0.prefix)=\($0.factor)" }))
    }
    add("precision", precision.rawValue)
    if recompute { add("recompute", true) }
    return all
  }
}

extension Augmentation {
  /// The options of `resnet train` that make this augmentation of a data set.
  fileprivate func options(for kind: DatasetKind?) -> [(name: String, values: [String])] {
    let usual = kind?.defaultAugmentation ?? .none
    if self == .none { return usual == .none ? [] : [("augment", ["false"])] }
    var all: [(String, [String])] = []
    if (flip, flipRule) != (usual.flip, usual.flipRule) { all.append(("flip", [FlipOption(self).rawValue])) }
    if case .padded(let pixels) = crop { all.append(("crop-padding", ["\(pixels)"])) }
    if let jitter = colorJitter {
      let strengths = [jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue]
      all.append(("color-jitter", [strengths.map { "\($0)" }.joined(separator: ",")]))
    }
    if trivialAugment { all.append(("trivial-augment", ["true"])) }
    if let randomErasing { all.append(("random-erasing", ["\(randomErasing.probability)"])) }
    if let mixup = mixing?.mixup { all.append(("mixup", ["\(mixup)"])) }
    if let cutmix = mixing?.cutmix { all.append(("cutmix", ["\(cutmix)"])) }
    return all
  }
}
