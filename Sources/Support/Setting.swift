/// A value that users choose. Its raw value is its name in Swift; the command line has an option for each.
///
/// ```swift
/// let failure = Failure(.batchSize, 0, "at least one image is needed")
/// print(failure.problem.settings.keys.contains(.batchSize))  // true
/// ```
public enum Setting: String, Hashable, Sendable, CaseIterable {
  // The network and its weights.
  case model, shortcut, stride, norm, zeroInit, initialWeights, frozen, key, prefix
  // The data.
  case dataset, data, labels, imageSize, resize, cropFraction, normalization, damaged, limitTrain, limitValidation
  case validationShare, split, classNames
  // Augmentation.
  case resizeFrom, cropPadding, colorJitter, trivialAugment, randomErasing, mixup, cutmix
  // The optimizer and its schedule.
  case epochs, batchSize, accumulate, learningRate, learningRateScales, momentum, nesterov, weightDecay, clipNorm, averageDecay
  case biasRateScale, lookahead, warmupEpochs, labelSmoothing, stochasticDepth, classWeights, sampling, maxSteps, patience, watch
  case onFault
  // The device.
  case device, precision, math, recompute
  // Files of a run.
  case output, resume, fold, logEvery, saveEvery, keepStates, allowConfigChange, allowDataChange
}
