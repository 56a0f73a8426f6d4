import Compute
import Datasets
import Models
import Support

/// Loss and accuracy over some images.
public struct Metrics: Hashable, Codable, Sendable {
  /// Number of images measured.
  public var images: Int
  /// Mean cross-entropy.
  public var loss: Double
  /// Top-1 and top-5 accuracy: shares of images whose label ranks first, or among the first five.
  public var top1, top5: Double

  /// Computes the means.
  init(_ total: MetricSums) {
    images = total.images
    let count = Double(images)
    (loss, top1, top5) = (total.sums[0] / count, total.sums[1] / count, total.sums[2] / count)
  }
}

extension ModelConfiguration {
  /// Checks that a data set fits the model.
  /// - Throws: ``Failure`` if the images or labels of the data set are not what the model is built for.
  public func check(_ dataset: some ImageSource) throws {
    let (found, known) = (dataset.shape[3], dataset.classes.count)
    if found != channels {
      throw Failure(
        .mismatch, "\(name) is built for images of \(channels) channels, those of \(dataset.name) have \(found)")
    }
    if known > classes {
      throw Failure(.mismatch, "\(name) is built for \(classes) classes, \(dataset.name) has \(known)")
    }
  }
}

/// Accuracy of a classifier on labeled images, class by class.
public struct Evaluation: Sendable {
  /// Metrics over all images.
  public let metrics: Metrics
  /// Class names in the order of the labels.
  public var classes: [String]
  /// Number of images for each pair of label and prediction, by the key label · classes + prediction. Absent pairs have none.
  let counts: [Int: Int]
  /// The mistakes that the classifier was most sure of, the worst first. There are as many as were asked for, or fewer.
  public let worst: [Mistake]

  init(metrics: Metrics, classes: [String], counts: [Int: Int], worst: [Mistake] = []) {
    self.metrics = metrics
    self.classes = classes
    self.counts = counts
    self.worst = worst
  }

  /// Entry of the confusion matrix: number of images of class `label` that were classified as `prediction`.
  public subscript(label: Int, prediction: Int) -> Int { counts[label * classes.count + prediction] ?? 0 }

  /// Result for one class.
  public struct ClassRecord: Sendable, Hashable {
    /// Class name.
    public var name: String
    /// Number of images of this class.
    public var images = 0
    /// Number of images classified correctly.
    public var right = 0
    /// Number of images, of any class, that were classified as this one.
    public var taken = 0
    /// Class that the other images were mistaken for most often; nil if no image was classified wrongly.
    public var confusion: Confusion?

    /// Class that images were mistaken for.
    public struct Confusion: Sendable, Hashable {
      /// Name of the confused class.
      public let name: String
      /// Number of images mistaken for it.
      public let images: Int
    }

    /// Share of images classified correctly; nil for a class without images.
    public var accuracy: Double? { images > 0 ? Double(right) / Double(images) : nil }
  }

  /// A pair of classes that were confused, and how often.
  public struct ConfusedPair: Sendable, Hashable {
    /// Class of the images, and the class that they were taken for.
    public let label, prediction: Int
    /// Number of these images.
    public let images: Int
  }

  /// Pairs of a class and another one that its images were taken for, the most frequent first. Of equally frequent pairs, that
  /// of the lower class comes first.
  public var confusedPairs: [ConfusedPair] {
    counts.compactMap { key, count in
      let (label, prediction) = key.quotientAndRemainder(dividingBy: classes.count)
      return label == prediction ? nil : ConfusedPair(label: label, prediction: prediction, images: count)
    }.sorted { (-$0.images, $0.label, $0.prediction) < (-$1.images, $1.label, $1.prediction) }
  }

  /// Results for all classes, in the order of the labels.
  public var perClass: [ClassRecord] {
    var records = classes.map { ClassRecord(name: $0) }
    // Sorting decides ties: of equally frequent confusions, the one with the lower class index counts.
    for (key, count) in counts.sorted(by: { $0.key < $1.key }) {
      let (label, prediction) = key.quotientAndRemainder(dividingBy: classes.count)
      records[label].images += count
      records[prediction].taken += count
      if label == prediction {
        records[label].right = count
      } else if count > records[label].confusion?.images ?? 0 {
        records[label].confusion = .init(name: classes[prediction], images: count)
      }
    }
    return records
  }
}
