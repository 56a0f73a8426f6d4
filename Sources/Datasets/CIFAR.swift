import Compute
import Support

/// CIFAR-10 and CIFAR-100 (Krizhevsky 2009) in their binary version (https://www.cs.toronto.edu/~kriz/cifar.html). A record
/// is one label byte, or a coarse and a fine one, followed by 32×32 red, then green, then blue values.
enum CIFAR {
  static func ten(_ folder: String) throws -> DatasetSplits {
    let names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    return try load(
      folder, tenFiles, classes: 10, names: names,
      Normalization(mean: [0.4914, 0.4822, 0.4465], deviation: [0.2470, 0.2435, 0.2616]))
  }

  /// Loads CIFAR-100 with the hundred fine classes.
  static func hundred(_ folder: String) throws -> DatasetSplits {
    try load(
      folder, hundredFiles, classes: 100, names: nil,
      Normalization(mean: [0.5071, 0.4865, 0.4409], deviation: [0.2673, 0.2564, 0.2762]))
  }

  /// Tells which of the two a folder holds; nil for neither.
  static func kind(in folder: String) -> DatasetKind? {
    func holds(_ files: Files) -> Bool {
      [folder, "\(folder)/\(files.subfolder)"].contains { InputFile.exists("\($0)/\(files.train[0])") }
    }
    return holds(tenFiles) ? .cifar10 : holds(hundredFiles) ? .cifar100 : nil
  }

  private static let tenFiles = Files(
    name: "cifar10", subfolder: "cifar-10-batches-bin", train: (1...5).map { "data_batch_\($0).bin" }, test: "test_batch.bin",
    classNames: "batches.meta.txt", labelBytes: 1)
  private static let hundredFiles = Files(
    name: "cifar100", subfolder: "cifar-100-binary", train: ["train.bin"], test: "test.bin",
    classNames: "fine_label_names.txt", labelBytes: 2)

  private struct Files {
    let name: String
    /// Folder that the published archive unpacks to, which is searched as well.
    let subfolder: String
    let train: [String]
    let test, classNames: String
    /// Number of bytes before a record's pixels; the last one is the label.
    let labelBytes: Int
  }

  private static let side = 32
  private static let channels = 3
  private static var pixels: Int { side * side }

  /// - Parameters:
  ///   - count: number of classes.
  ///   - names: names of the classes if the folder has no file of them; nil if they then have none.
  private static func load(
    _ folder: String, _ files: Files, classes count: Int, names: [String]?, _ normalization: Normalization
  ) throws -> DatasetSplits {
    let unpacked = "\(folder)/\(files.subfolder)"
    let folder = InputFile.exists(unpacked) ? unpacked : folder
    let missing = (files.train + [files.test]).filter { !InputFile.exists("\(folder)/\($0)") }
    guard missing.isEmpty else {
      throw Failure(
        .notFound, about: folder,
        "no \(missing.joined(separator: ", ")); name the folder of \(files.name)'s binary version with \(Setting.data)")
    }
    let classNames = try classNames("\(folder)/\(files.classNames)", count: count) ?? names
    let classes = classNames ?? Dataset.numberedClasses(count)
    func split(_ names: [String]) throws -> Dataset {
      var (images, labels) = ([UInt8](), [Int32]())
      for name in names {
        try read("\(folder)/\(name)", labelBytes: files.labelBytes, classes: count, images: &images, labels: &labels)
      }
      return Dataset(
        name: files.name, images: HostTensor(images, shape: [labels.count, side, side, channels]),
        labels: HostTensor(labels, shape: [labels.count]), classes: classes, namesClasses: classNames != nil,
        normalization: normalization)
    }
    return DatasetSplits(train: try split(files.train), validation: try split([files.test]))
  }

  /// Appends the records of a file, with their pixels transposed from [C,H,W] to [H,W,C].
  private static func read(
    _ path: String, labelBytes: Int, classes: Int, images: inout [UInt8], labels: inout [Int32]
  ) throws {
    let file = try InputFile(path)
    let imageBytes = channels * pixels
    let recordBytes = labelBytes + imageBytes
    guard file.byteCount > 0 else { throw Failure(.damagedFile, about: path, "empty; download it again") }
    guard file.byteCount % recordBytes == 0 else {
      throw Failure(
        .damagedFile, about: path,
        "its \(file.byteCount) bytes are not a multiple of a record's \(recordBytes); it is truncated or another format")
    }
    guard file.byteCount <= IDX.maximumByteCount else {
      throw Failure(.unsupported, about: path, "\(file.byteCount) bytes, over the bound of \(IDX.maximumByteCount)")
    }
    images.reserveCapacity(images.count + file.byteCount)
    for index in 0..<file.byteCount / recordBytes {
      let record = try file.read(recordBytes, at: index * recordBytes)
      let label = record[labelBytes - 1]
      guard label < classes else {
        throw Failure(.damagedFile, about: path, "label \(label) of record \(index) is not below \(classes)")
      }
      labels.append(Int32(label))
      for pixel in labelBytes..<labelBytes + pixels {
        for channel in 0..<channels { images.append(record[channel * pixels + pixel]) }
      }
    }
  }

  /// Reads class names from a file with one name on each line; nil if there is no such file.
  private static func classNames(_ path: String, count: Int) throws -> [String]? {
    guard InputFile.exists(path) else { return nil }
    let file = try InputFile(path)
    guard file.byteCount <= 1 << 16, let lines = textLines(try file.read()) else {
      throw Failure(.damagedFile, about: path, "not a list of class names")
    }
    let names = lines.filter { !$0.isEmpty }
    guard names.count == count else {
      throw Failure(.mismatch, about: path, "\(names.count) class names instead of \(count)")
    }
    return names
  }
}
