import Datasets
import Images

/// Division of an epoch's images into batches, and of its batches into steps.
struct EpochSteps {
  /// Number of steps of an epoch, at least 1. A step takes ``batchesPerStep`` batches. Batches are whole, unless the epoch has
  /// only one short batch.
  let count: Int
  /// Number of batches of a step. The step has fewer if the whole epoch has fewer.
  let batchesPerStep: Int
  /// Notes for the user: differences from the options, and images or batches that are left out.
  private(set) var notes: [String] = []

  /// - Parameter images: number of training images.
  init(images: Int, _ configuration: RunConfiguration) {
    let size = min(configuration.batchSize, images)
    let batches = EpochPlan(inOrder: images).batches(of: configuration.batchSize, keepShort: false).count
    batchesPerStep = configuration.accumulate
    count = max(1, batches / batchesPerStep)
    if size < configuration.batchSize {
      notes.append("batches are of the \(size) images that there are, not of \(configuration.batchSize)")
    }
    // A few unused images do not matter, but half of a small folder does. The limit is 1 in 20.
    let unused = images - batches * size
    if unused * 20 > images {
      notes.append(
        "\(unused) of the \(images) images fill no batch of \(size) and are left out of each epoch"
          + (configuration.shuffle ? ", others each time" : ""))
    }
    let rest = batches - count * batchesPerStep
    if rest < 0 {
      notes.append("a step is of \(batches) batches, as an epoch has no more, not of \(batchesPerStep)")
    } else if rest > 0 {
      notes.append("\(rest) of the \(batches) batches of an epoch are left out: they make no step of \(batchesPerStep)")
    }
  }
}

extension RunConfiguration {
  /// Returns the plan of an epoch.
  /// - Parameters:
  ///   - epoch: number of the epoch, counted from 0.
  ///   - items: training images.
  func plan(ofEpoch epoch: Int, _ items: [ImageItem]) -> EpochPlan {
    switch sampling {
    case nil: EpochPlan(seed: seed, epoch: epoch, count: items.count, shuffle: shuffle, augmentation: augmentation)
    case .balanced: EpochPlan(seed: seed, epoch: epoch, balancing: items.map(\.label), augmentation: augmentation)
    }
  }
}
