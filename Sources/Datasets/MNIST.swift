import Compute
import Support

/// MNIST (LeCun et al. 1998) and Fashion-MNIST (Xiao et al. 2017): 28×28 gray images in ten classes, four IDX files.
enum MNIST {
  /// Folder in which the Debian package installs Fashion-MNIST.
  static let fashionFolder = "/usr/share/datasets/fashion-mnist"

  static func fashion(_ folder: String?) throws -> DatasetSplits {
    try load(
      "fashion-mnist", folder ?? fashionFolder,
      classes: [
        "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
      ],
      Normalization(mean: [0.2860], deviation: [0.3530]),
      advice: "apt-get install dataset-fashion-mnist, or name its folder with \(Setting.data)")
  }

  static func digits(_ folder: String) throws -> DatasetSplits {
    try load(
      "mnist", folder, classes: Dataset.numberedClasses(10), Normalization(mean: [0.1307], deviation: [0.3081]),
      advice: "name the folder of MNIST's four files with \(Setting.data)")
  }

  private static func load(
    _ name: String, _ folder: String, classes: [String], _ normalization: Normalization, advice: Message
  ) throws -> DatasetSplits {
    do {
      func split(_ prefix: String) throws -> Dataset {
        let (imagesPath, labelsPath) = (try find("\(prefix)-images", 3, in: folder), try find("\(prefix)-labels", 1, in: folder))
        let labels = try IDX.labels(labelsPath, classes: classes.count)
        let images = try IDX.images(imagesPath, (labels.count, labelsPath))
        return Dataset(name: name, images: images, labels: labels, classes: classes, normalization: normalization)
      }
      let splits = DatasetSplits(train: try split("train"), validation: try split("t10k"))
      let (train, validation) = (splits.train.images.shape, splits.validation.images.shape)
      guard train.dimensions.dropFirst() == validation.dimensions.dropFirst() else {
        throw Failure(
          .mismatch, about: folder,
          "training images have \(train[1])×\(train[2]) pixels, test images \(validation[1])×\(validation[2])")
      }
      return splits
    } catch let failure as Failure {
      throw Failure(failure.kind, "\(failure) (\(advice))")
    }
  }

  /// Path of the labels to train on in a folder; nil if they are not there.
  static func trainingLabels(in folder: String) -> String? { try? find("train-labels", 1, in: folder) }

  /// Tells MNIST from Fashion-MNIST by the first labels to train on. Files that are neither count as Fashion-MNIST, the data set
  /// of runs that name none.
  /// - Throws: ``Failure`` if the file is not one of labels.
  static func kind(ofLabels path: String) throws -> DatasetKind {
    var reader = try InflatingReader(path)
    let start = try reader.read(16)
    return start.dropFirst(8).elementsEqual([5, 0, 4, 1, 9, 2, 1, 3]) ? .mnist : .fashionMNIST
  }

  /// Finds the file under one of the names that are in use for it.
  private static func find(_ stem: String, _ rank: Int, in folder: String) throws -> String {
    let names = ["\(stem)-idx\(rank)-ubyte.gz", "\(stem)-idx\(rank)-ubyte", "\(stem).idx\(rank)-ubyte"]
    guard let name = names.first(where: { InputFile.exists("\(folder)/\($0)") }) else {
      throw Failure(.notFound, about: folder, "none of \(names.joined(separator: ", ")) is there")
    }
    return "\(folder)/\(name)"
  }
}
