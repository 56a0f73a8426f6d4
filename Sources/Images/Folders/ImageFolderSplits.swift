import Support

/// Images to train on and images to measure on, of the same classes.
public struct ImageFolderSplits: Sendable, Hashable {
  /// Images to train on and images to measure on, with the same class numbers.
  public let train, validation: ImageFolder
  /// Notes for the user: the folders that were taken and those that were not.
  public let notes: [String]

  /// Finds `PATH/train/CLASS/…` and `PATH/val/CLASS/…`, under all their usual names. If there are no validation images,
  /// `PATH/test/CLASS/…` takes their place. If there are only training images, or if the classes' folders are in `PATH`
  /// itself, a share of every class is set apart for validation.
  /// - Parameters:
  ///   - labels: CSV file with the classes of images in `PATH`, and perhaps their splits; nil if their folders tell them.
  ///   - share: share of each class that is set apart; nil for ``ValidationShare/usual``. If it is given, test images are not
  ///     validated on.
  ///   - progress: called after each class or row of labels; nil for nothing.
  /// - Throws: a ``Failure`` that names a folder that is missing, has no classes or images, or has other classes than its
  ///   counterpart; and for a share where there are validation images.
  public init(
    _ path: String, labels: String? = nil, share: ValidationShare? = nil, progress: ReadingProgress? = nil
  ) throws {
    if let labels {
      let file = try LabelFile(labels, imagesIn: path, progress: progress)
      (train, validation, notes) = try Self.splits(of: file, share: share)
      return
    }
    let layout = try ImageFolderLayout(path, progress: progress)
    let path = layout.path
    if share != nil, layout.parts[.train] != nil, let other = layout.parts[.validation] {
      throw Failure(
        .conflictingSetting, about: path, "the images to validate on are in \(other), so none are set apart",
        remedy: "leave \(Setting.validationShare) out")
    }
    let others = [ImageFolderPart.validation, .test].filter { layout.parts[$0] != nil }
    let taken = share ?? .usual
    guard let name = layout.parts[.train] else {
      if let measured = others.first, let name = layout.parts[measured] {
        throw Failure(
          .notFound, about: path, "\(name) is there, but no folder train beside it\(layout.rest(besides: [measured]))",
          remedy: "to train on all of these images, name \(path)/\(name)")
      }
      (train, validation) = try Self.split(try layout.folder(), taken)
      notes = Self.notes(train, "to validate on: \(taken.description) of each class, set apart" + layout.rest(besides: []))
      return
    }
    let folder = try layout.folder(name)
    guard share == nil, let measured = others.first, let other = layout.parts[measured] else {
      (train, validation) = try Self.split(folder, taken)
      notes = Self.notes(
        train,
        "to train on: \(name); to validate on: \(taken.description) of each class of it, set apart"
          + layout.rest(besides: [.train]))
      return
    }
    train = folder
    validation = try layout.folder(other).labeled(like: folder)
    notes = Self.notes(
      train,
      "to train on: \(name); to validate on: \(other)" + (measured == .test ? ", as no other part is there" : "")
        + layout.rest(besides: [.train, measured]))
  }

  /// Takes the parts that a file of labels names, or sets a share apart if it names no part to validate on.
  private static func splits(
    of file: LabelFile, share: ValidationShare?
  ) throws -> (train: ImageFolder, validation: ImageFolder, notes: [String]) {
    guard file.parts.isEmpty || file.parts.contains(.train) else {
      throw Failure(.notFound, about: file.path, "no row has the split train", remedy: "leave the column out, or name some")
    }
    if share != nil, file.parts.contains(.validation) {
      throw Failure(
        .conflictingSetting, about: file.path, "it names images to validate on, so none are set apart",
        remedy: "leave \(Setting.validationShare) out")
    }
    let train = try file.images(file.parts.isEmpty ? nil : .train)
    guard share == nil, let measured = file.measuredPart else {
      let taken = share ?? .usual
      let (train, validation) = try split(train, taken) { "\(file.path): the class '\($0)'" }
      return (train, validation, notes(train, "to validate on: \(taken.description) of each class of \(file.path), set apart"))
    }
    let validation = try file.images(measured, classes: train.classes)
    let taken =
      "to train on and to validate on: the splits train and \(measured == .test ? "test" : "validation") of \(file.path)"
    return (train, validation, notes(train, taken))
  }

  private static func notes(_ folder: ImageFolder, _ taken: String) -> [String] {
    let twins = lookalikes(among: folder.classes)
    return [taken] + (twins.isEmpty ? [] : ["classes that look alike, in different Unicode forms: \(listed(twins, atMost: 4))"])
  }

  private static func split(
    _ folder: ImageFolder, _ share: ValidationShare, about subject: ((_ name: String) -> String)? = nil
  ) throws -> (train: ImageFolder, validation: ImageFolder) {
    let apart = try share.selection(folder.samples.map(\.label)) {
      let name = folder.classes[$0]
      return subject?(name) ?? "\(folder.path)/\(name)"
    }
    func part(_ isApart: Bool) -> ImageFolder {
      ImageFolder(
        path: folder.path, classes: folder.classes, samples: zip(folder.samples, apart).filter { $0.1 == isApart }.map(\.0),
        ignored: folder.ignored)
    }
    return (part(false), part(true))
  }
}
