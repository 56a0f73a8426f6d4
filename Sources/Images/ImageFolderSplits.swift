import Compute

/// Images to train on and images to measure on, of the same classes.
public struct ImageFolderSplits: Sendable, Hashable {
  /// The images to train on, and those to measure on.
  public let train, validation: ImageFolder

  /// Where the images to measure on may be; the first that is there counts.
  static let validationNames = ["val", "validation", "test"]
  private static let trainName = "train"
  private static let stream: UInt32 = 0x1A00_0002

  /// Finds `PATH/train/CLASS/…` and one of `PATH/val/CLASS/…`, `PATH/validation/CLASS/…`, `PATH/test/CLASS/…`. Where only the former
  /// is there, or the classes' folders are in `PATH` itself, part of every class is set apart.
  /// - Parameters:
  ///   - share: what part of each class is set apart, at least one image.
  ///   - seed: decides which; the same images give the same parts.
  /// - Throws: a ``Failure`` that names the folder that is missing, has no classes or images, or other classes than its counterpart.
  /// - Precondition: `share` is above 0 and below 1.
  public init(_ path: String, share: Double = 0.1, seed: UInt64 = 0) throws {
    precondition(share > 0 && share < 1, "[ImageFolderSplits] share \(share)")
    let trainPath = "\(path)/\(Self.trainName)"
    // A class may be called train as well; but then there are images in it, not folders.
    let names = try ImageFolder.folders(path)
    guard names.contains(Self.trainName), try !ImageFolder.folders(trainPath).isEmpty else {
      if let name = Self.validationNames.first(where: names.contains), try !ImageFolder.folders("\(path)/\(name)").isEmpty {
        throw Failure("\(path): \(name) is there, but no folder \(Self.trainName) beside it")
      }
      (train, validation) = try Self.split(try ImageFolder(path), share: share, seed: seed)
      return
    }
    guard let name = Self.validationNames.first(where: names.contains) else {
      (train, validation) = try Self.split(try ImageFolder(trainPath), share: share, seed: seed)
      return
    }
    train = try ImageFolder(trainPath)
    validation = try ImageFolder("\(path)/\(name)")
    let (known, found) = (Set(train.classes), Set(validation.classes))
    if let missing = train.classes.first(where: { !found.contains($0) }) {
      throw Failure("\(validation.path): no folder for the class '\(missing)' of \(trainPath); both need the same classes")
    }
    if let unknown = validation.classes.first(where: { !known.contains($0) }) {
      throw Failure("\(validation.path): the class '\(unknown)' is not in \(trainPath); both need the same classes")
    }
  }

  private static func split(
    _ folder: ImageFolder, share: Double, seed: UInt64
  ) throws -> (train: ImageFolder, validation: ImageFolder) {
    var apart = [Bool](repeating: false, count: folder.samples.count)
    var begin = 0
    for (label, name) in folder.classes.enumerated() {
      let end = folder.samples[begin...].firstIndex { $0.label != Int32(label) } ?? folder.samples.count
      let count = end - begin
      guard count > 1 else {
        throw Failure("\(folder.path)/\(name): a single image; at least two are needed to train on one and measure on the other")
      }
      var random = Philox(seed: seed, stream: stream, index: UInt64(label))
      var order = Array(begin..<end)
      for index in 0..<min(count - 1, max(1, Int((Double(count) * share).rounded()))) {
        order.swapAt(index, index + random.below(count - index))
        apart[order[index]] = true
      }
      begin = end
    }
    func part(_ isApart: Bool) -> ImageFolder {
      ImageFolder(
        path: folder.path, classes: folder.classes, samples: zip(folder.samples, apart).filter { $0.1 == isApart }.map(\.0),
        ignored: folder.ignored)
    }
    return (part(false), part(true))
  }
}
