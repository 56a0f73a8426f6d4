import Datasets

/// How the images of an epoch make batches, and these make steps.
struct EpochSteps {
  /// Steps of an epoch: whole batches, or the one short batch, as many a step as accumulate.
  let count: Int
  /// Batches of a step, but for an epoch that has fewer.
  let batchesPerStep: Int
  /// What is otherwise than was asked for, and what is left out.
  private(set) var notes: [String] = []

  /// - Parameter images: that there are to train on.
  init(images: Int, _ configuration: RunConfiguration) {
    let size = min(configuration.batchSize, images)
    let batches = EpochPlan(inOrder: images).batches(of: configuration.batchSize, keepShort: false).count
    batchesPerStep = configuration.accumulate ?? 1
    count = max(1, batches / batchesPerStep)
    if size < configuration.batchSize {
      notes.append("batches are of the \(size) images that there are, not of \(configuration.batchSize)")
    }
    // A few are no loss; with half of a small folder it is another matter.
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
