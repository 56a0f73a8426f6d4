import Support

/// Images to train on and images to measure on, of the same classes.
public struct ImageFolderSplits: Sendable, Hashable {
  /// Images to train on and images to measure on, with the same class numbers.
  public let train, validation: ImageFolder
  /// Notes for the user: the folders that were taken and those that were not.
  public let notes: [String]

  private static let stream: UInt32 = 0x1A00_0002

  /// Finds `PATH/train/CLASS/…` and `PATH/val/CLASS/…`, under all their usual names. If there are no validation images,
  /// `PATH/test/CLASS/…` takes their place. If there are only training images, or if the classes' folders are in `PATH`
  /// itself, a share of every class is set apart for validation.
  /// - Parameters:
  ///   - share: share of each class that is set apart, at least one image.
  ///   - seed: random seed that selects these images. With one seed, the same images give the same parts.
  /// - Throws: a ``Failure`` that names a folder that is missing, has no classes or images, or has other classes than its
  ///   counterpart.
  /// - Precondition: `share` is above 0 and below 1.
  public init(_ path: String, share: Double = 0.1, seed: UInt64 = 0) throws {
    precondition(share > 0 && share < 1, "[ImageFolderSplits] share \(share)")
    let layout = try ImageFolderLayout(path)
    let measured = [ImageFolderPart.validation, .test].first { layout.parts[$0] != nil }
    guard let name = layout.parts[.train] else {
      if let measured, let name = layout.parts[measured] {
        throw Failure(
          .notFound, about: path, "\(name) is there, but no folder train beside it\(layout.rest(besides: [measured]))",
          remedy: "to train on all of these images, name \(path)/\(name)")
      }
      (train, validation) = try Self.split(try ImageFolder(path), share: share, seed: seed)
      notes = Self.notes(train, "to validate on: \(Self.describe(share)) of each class, set apart" + layout.rest(besides: []))
      return
    }
    let folder = try ImageFolder("\(path)/\(name)")
    guard let measured, let other = layout.parts[measured] else {
      (train, validation) = try Self.split(folder, share: share, seed: seed)
      notes = Self.notes(
        train,
        "to train on: \(name); to validate on: \(Self.describe(share)) of each class of it, set apart"
          + layout.rest(besides: [.train]))
      return
    }
    train = folder
    validation = try ImageFolder("\(path)/\(other)").labeled(like: folder)
    notes = Self.notes(
      train,
      "to train on: \(name); to validate on: \(other)" + (measured == .test ? ", as no other part is there" : "")
        + layout.rest(besides: [.train, measured]))
  }

  private static func describe(_ share: Double) -> String { share == 0.1 ? "a tenth" : "a share of \(share)" }

  private static func notes(_ folder: ImageFolder, _ taken: String) -> [String] {
    let twins = lookalikes(among: folder.classes)
    return [taken] + (twins.isEmpty ? [] : ["classes that look alike, in different Unicode forms: \(listed(twins, atMost: 4))"])
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
        throw Failure(
          .mismatch, about: "\(folder.path)/\(name)",
          "a single image; at least two are needed to train on one and measure on the other")
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
