import Compute
import Foundation
import Images
import Synchronization
import TestSupport
import Testing

@Suite struct ImageFolderTests {
  /// Makes files that are listed and not opened.
  private func make(_ folder: String, _ names: [String]) throws {
    for name in names { try write([], to: "\(folder)/\(name)") }
  }

  /// Checks that all supported formats are listed, by their usual extensions in upper or lower case.
  /// Each class of each part is reported when it is listed, and each row of a table of labels.
  @Test func progressIsReported() throws {
    try withTemporaryFolder { folder in
      for part in ["train", "val"] {
        for name in ["a", "b"] { try write([], to: "\(folder)/\(part)/\(name)/1.png") }
      }
      let lines = Mutex<[String]>([])
      let progress: ReadingProgress = { done, total, subject in lines.withLock { $0.append("\(done)/\(total) \(subject)") } }
      _ = try ImageFolderSplits(folder, progress: progress)
      _ = try MeasuredFolder(folder, .validation, progress: progress)
      try write(Array("path,class\ntrain/a/1.png,x\nval/b/1.png,y\n".utf8), to: "\(folder)/labels.csv")
      _ = try MeasuredFolder(folder, labels: "\(folder)/labels.csv", progress: progress)
      #expect(lines.withLock { $0 } == ["1/2 a", "2/2 b", "1/2 a", "2/2 b", "1/2 a", "2/2 b", "1/2 ", "2/2 "])
    }
  }

  @Test func allFormatsAreListed() throws {
    try withTemporaryFolder { folder in
      let names = ["a.jpg", "b.jpeg", "c.png", "d.webp", "e.GIF", "f.bmp", "g.tif", "h.TIFF"]
      try make("\(folder)/class", names + ["i.heic"])
      #expect(try ImageFolder(folder).samples.map(\.path) == names.map { "\(folder)/class/\($0)" })
      #expect(try ImageFiles.find([folder]).images.count == names.count)
    }
  }

  @Test func orderAndLabels() throws {
    try withTemporaryFolder { folder in
      try make(
        folder,
        [
          "zebra/10.jpg", "zebra/9.JPEG", "Ape/b.png", "Ape/a.jpg", "ape/x.jpeg", "zebra/sub/deeper/1.jpg", "zebra/sub-1/1.jpg",
          "zebra/sub/1.jpg", "zebra/.hidden.jpg", "zebra/.cache/1.jpg", ".git/1.jpg", "README.txt", "ape/notes.txt",
          "ape/noending",
        ])
      let images = try ImageFolder(folder)
      #expect(images.classes == ["Ape", "ape", "zebra"])
      let names = images.samples.map { String($0.path.dropFirst(folder.count + 1)) }
      #expect(
        names == [
          "Ape/a.jpg", "Ape/b.png", "ape/x.jpeg", "zebra/10.jpg", "zebra/9.JPEG", "zebra/sub/1.jpg", "zebra/sub-1/1.jpg",
          "zebra/sub/deeper/1.jpg",
        ])
      #expect(images.samples.map(\.label) == [0, 0, 1, 2, 2, 2, 2, 2])
      #expect(images.ignored == ["\(folder)/ape/noending", "\(folder)/ape/notes.txt"])
    }
  }

  @Test(
    arguments: ["val", "validation", "valid", "dev", "test", "testing", "Val", "VALID", "Test"],
    ["train", "Train", "training", "TRAINING"])
  func splitFolders(_ name: String, _ train: String) throws {
    try withTemporaryFolder { folder in
      try make(folder, ["\(train)/a/1.jpg", "\(train)/a/2.jpg", "\(train)/b/1.jpg", "\(name)/a/3.jpg", "\(name)/b/4.jpg"])
      let splits = try ImageFolderSplits(folder)
      #expect(splits.train.samples.count == 3 && splits.validation.samples.map(\.label) == [0, 1])
      #expect(splits.validation.samples[1].path == "\(folder)/\(name)/b/4.jpg")
      #expect(splits.notes.count == 1 && splits.notes[0].hasPrefix("to train on: \(train); to validate on: \(name)"))
      #expect(splits.notes[0].hasSuffix("as no other part is there") == name.lowercased().hasPrefix("test"))
    }
  }

  /// Checks that test images are not used to choose weights if there are other validation images.
  @Test(arguments: ["val", "valid", "validation", "dev"]) func testImagesAreLeftAlone(_ name: String) throws {
    try withTemporaryFolder { folder in
      try make(folder, ["train/a/1.jpg", "train/b/1.jpg", "extra/1.jpg", "notes/1.txt"])
      for part in [name, "test"] { try make(folder, ["\(part)/a/1.jpg", "\(part)/b/1.jpg"]) }
      let splits = try ImageFolderSplits(folder)
      #expect(splits.validation.path == "\(folder)/\(name)")
      #expect(splits.notes == ["to train on: train; to validate on: \(name); not used: extra, test"])
    }
  }

  @Test func imagesToBePredictedAreNoPart() throws {
    try withTemporaryFolder { folder in
      try make(folder, ["train/a/1.jpg", "train/a/2.jpg", "train/b/1.jpg", "train/b/2.jpg", "test/1.jpg"])
      let splits = try ImageFolderSplits(folder)
      #expect(splits.train.classes == ["a", "b"] && splits.validation.path == "\(folder)/train")
      #expect(splits.notes[0].hasSuffix("; not used: test (no folders of classes in it)"), "\(splits.notes)")
    }
  }

  /// Checks that labels go by names, not by positions: bytes sort a decomposed é before the z and a composed one after it.
  @Test(arguments: [("caf\u{E9}", "cafe\u{301}"), ("cafe\u{301}", "caf\u{E9}")])
  func labelsOfValidationAreThoseOfTraining(_ train: String, _ validation: String) throws {
    try withTemporaryFolder { folder in
      let measured = ["val/\(validation)/1.jpg", "val/cafz/1.jpg", "val/cafz/2.jpg"]
      try make(folder, ["train/\(train)/1.jpg", "train/cafz/1.jpg"] + measured)
      let splits = try ImageFolderSplits(folder)
      let z = splits.train.classes.firstIndex(of: "cafz") ?? 2
      #expect(splits.validation.classes.map { Array($0.utf8) } == splits.train.classes.map { Array($0.utf8) })
      for sample in splits.validation.samples {
        #expect(sample.label == Int32(sample.path.contains("cafz") ? z : 1 - z), "\(sample)")
      }
      #expect(splits.validation.samples.map(\.label) == (z == 0 ? [0, 0, 1] : [0, 1, 1]))
    }
  }

  @Test func twoFormsOfANameAreTwoClasses() throws {
    try withTemporaryFolder { folder in
      let names = ["cafe\u{301}", "caf\u{E9}"]
      try make(folder, ["train", "val"].flatMap { part in names.map { "\(part)/\($0)/1.jpg" } })
      let splits = try ImageFolderSplits(folder)
      #expect(splits.train.classes.count == 2 && splits.validation.samples.map(\.label) == [0, 1])
      let note = splits.notes.last ?? ""
      #expect(note.contains("look alike") && note.contains("caf\\u{00E9}, cafe\\u{0301}"), "\(splits.notes)")
      try FileManager.default.removeItem(atPath: "\(folder)/val/\(names[0])")
      let message = failureMessage { _ = try ImageFolderSplits(folder) }
      #expect(message.hasPrefix("\(folder)/val: no folder for the class 'cafe\\u{0301}'"), "\(message)")
    }
  }

  /// Checks that evaluation uses all images of a tree, or the part of a data set that is meant for it.
  @Test func measuredImages() throws {
    try withTemporaryFolder { folder in
      for (part, count) in [("train", 10), ("val", 3), ("test", 2)] {
        try make(folder, ["a", "b"].flatMap { name in (0..<count).map { "\(part)/\(name)/\($0).jpg" } })
      }
      func measured(_ place: String = "") throws -> (count: Int, description: String, mayHaveBeenTrainedOn: Bool) {
        let found = try MeasuredFolder(folder + place)
        return (found.folder.samples.count, found.description, found.mayHaveBeenTrainedOn)
      }
      #expect(
        try measured() == (6, "all 6 images of \(folder)/val, the validation part of \(folder); not used: test, train", false))
      #expect(try measured("/val") == (6, "all 6 images of \(folder)/val", false))
      #expect(try measured("/test") == (4, "all 4 images of \(folder)/test", false))
      #expect(try measured("/train") == (20, "all 20 images of \(folder)/train", true))
      try FileManager.default.removeItem(atPath: folder + "/val")
      #expect(try measured().description.contains("/test, the test part of \(folder), as none for validation is there"))
      try FileManager.default.removeItem(atPath: folder + "/test")
      let apart = try measured()
      #expect(apart.count == 2 && apart.description.hasSuffix("/train, the tenth of each class that training sets apart"))
      #expect(try MeasuredFolder(folder).folder == ImageFolderSplits(folder).validation)
      try FileManager.default.moveItem(atPath: folder + "/train", toPath: folder + "/dev")
      #expect(try measured().count == 20)
    }
  }

  @Test(arguments: ["", "/train"]) func oneTreeIsSplit(_ subfolder: String) throws {
    try withTemporaryFolder { folder in
      for name in ["a", "b", "train"] { try make(folder + subfolder, (0..<20).map { "\(name)/\($0).jpg" }) }
      try make(folder + subfolder, ["c/1.jpg", "c/2.jpg"])
      let splits = try ImageFolderSplits(folder, share: ValidationShare(0.2, seed: 1))
      func counts(_ folder: ImageFolder) -> [Int] { (0..<4).map { label in folder.samples.count { $0.label == label } } }
      #expect(counts(splits.validation) == [4, 4, 1, 4] && counts(splits.train) == [16, 16, 1, 16])
      #expect(Set(splits.train.samples).isDisjoint(with: splits.validation.samples))
      #expect(try ImageFolderSplits(folder, share: ValidationShare(0.2, seed: 1)) == splits)
      #expect(try ImageFolderSplits(folder, share: ValidationShare(0.2, seed: 2)) != splits)
    }
  }

  /// A share is taken of the training images even if there are test images, and refused if there are validation images.
  @Test func aShareLeavesTestImagesAlone() throws {
    try withTemporaryFolder { folder in
      try make(folder, ["train", "test"].flatMap { part in (0..<10).map { "\(part)/a/\($0).jpg" } })
      #expect(try ImageFolderSplits(folder).validation.path == "\(folder)/test")
      let splits = try ImageFolderSplits(folder, share: ValidationShare(0.3))
      #expect(splits.train.samples.count == 7 && splits.validation.samples.count == 3)
      #expect(splits.validation.path == "\(folder)/train")
      try make(folder, ["val/a/1.jpg"])
      #expect(
        failureMessage { _ = try ImageFolderSplits(folder, share: ValidationShare(0.3)) }
          == "\(folder): the images to validate on are in val, so none are set apart: leave validationShare out")
    }
  }

  @Test(arguments: [0, 1, -0.1, 1.5, .nan]) func impossibleSharesAreRefused(_ share: Double) {
    #expect(
      failureMessage { try ValidationShare(share).validate() } == "validationShare \(share): it must be above 0 and below 1")
  }

  @Test func partsAreMeasured() throws {
    try withTemporaryFolder { folder in
      for (part, count) in [("train", 10), ("val", 3), ("test", 2)] {
        try make(folder, ["a", "b"].flatMap { name in (0..<count).map { "\(part)/\(name)/\($0).jpg" } })
      }
      func measured(_ part: ImageFolderPart) throws -> String { try MeasuredFolder(folder, part).description }
      #expect(try measured(.train) == "all 20 images of \(folder)/train, the training part of \(folder); not used: test, val")
      #expect(
        try measured(.validation) == "all 6 images of \(folder)/val, the validation part of \(folder); not used: test, train")
      #expect(try measured(.test) == "all 4 images of \(folder)/test, the test part of \(folder); not used: train, val")
      try FileManager.default.removeItem(atPath: folder + "/val")
      #expect(failureMessage { _ = try measured(.validation) }.hasPrefix("\(folder): no validation part in it, only test, train"))
      try FileManager.default.removeItem(atPath: folder + "/test")
      #expect(failureMessage { _ = try measured(.test) }.hasPrefix("\(folder): no test part in it, only train"))
      let splits = try ImageFolderSplits(folder)
      #expect(try MeasuredFolder(folder, .train).folder == splits.train)
      #expect(try MeasuredFolder(folder, .validation).folder == splits.validation)
      #expect(try measured(.train).contains("18 images of \(folder)/train, those of each class but the tenth"))
    }
  }

  static let wrong: [([String], String, [String])] = [
    ([], "", ["no folders in it"]),
    (["1.jpg"], "", ["no folders in it"]),
    (["a/1.jpg", "a/2.jpg", "b/1.txt"], "/b", ["no images in it"]),
    (["a/1.jpg", "a/2.jpg", "b/1.jpg"], "/b", ["a single image"]),
    (["train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg"], "/val", ["no folder for the class 'b' of", "/train"]),
    (["train/a/1.jpg", "val/a/1.jpg", "val/c/1.jpg"], "/val", ["the class 'c' is not in", "/train"]),
    (["train/a/1.jpg", "val/a/1.txt"], "/val/a", ["no images in it"]),
    (["train/a/1.jpg", "val/1.jpg"], "/val", ["no folders in it"]),
    (["val/a/1.jpg"], "", ["val is there, but no folder train"]),
    (["Valid/a/1.jpg", "train/1.jpg"], "", ["Valid is there, but no folder train", "not used: train (no folders"]),
    (["a/1.jpg", "b/1.jpg", "test/1.jpg"], "", ["test is called like a part", "classes' folders, such as a"]),
    (["car/1.jpg", "bus/1.jpg", "train/steam/1.jpg"], "", ["train is called like a part", "bus beside it holds images"]),
    (["train/a/1.jpg", "train/val/a/1.jpg", "val/a/1.jpg"], "/train", ["val is called like a part", "a beside it"]),
    (["train/a/1.jpg", "train/b/1.jpg", "train/dev/1.jpg", "val/a/1.jpg"], "/train", ["dev is called like a part"]),
    (["train/train/a/1.jpg", "val/a/1.jpg"], "/train", ["called like parts of a data set"]),
    (["train/a/1.jpg", "Training/a/1.jpg"], "", ["both train and Training"]),
    (["train/1.jpg", "test/1.jpg"], "/test", ["no folders in it"]),
  ]

  @Test(arguments: wrong) func isRefused(_ names: [String], _ place: String, _ says: [String]) throws {
    try withTemporaryFolder { folder in
      try make(folder, names)
      let message = failureMessage { _ = try ImageFolderSplits(folder) }
      #expect(message.hasPrefix("\(folder)\(place): "), "\(message)")
      for part in says { #expect(message.contains(part), "\(message)") }
    }
  }

  @Test func missingFolder() {
    #expect(failureMessage { _ = try ImageFolderSplits("/nowhere/at all") } == "/nowhere/at all: there is no such folder")
  }

  @Test func links() throws {
    try withTemporaryFolder { folder in
      try make(folder, ["elsewhere/1.jpg", "set/a/0.jpg"])
      let manager = FileManager.default
      try manager.createSymbolicLink(atPath: folder + "/set/b", withDestinationPath: folder + "/elsewhere")
      try manager.createSymbolicLink(atPath: folder + "/set/a/lost.jpg", withDestinationPath: "nowhere")
      let images = try ImageFolder(folder + "/set")
      #expect(images.samples.map(\.path) == ["a/0.jpg", "a/lost.jpg", "b/1.jpg"].map { "\(folder)/set/\($0)" })
      try manager.createSymbolicLink(atPath: folder + "/elsewhere/round", withDestinationPath: folder + "/elsewhere")
      #expect(failureMessage { _ = try ImageFolder(folder + "/set") }.contains("/b/round: a symbolic link to a folder"))
    }
  }

  /// Requires that a class which is a dangling link does not vanish and shift the other class numbers.
  @Test func aClassThatLeadsNowhereIsRefused() throws {
    try withTemporaryFolder { folder in
      try make(folder, ["set/a/0.jpg", "set/c/2.jpg"])
      try FileManager.default.createSymbolicLink(atPath: folder + "/set/b", withDestinationPath: folder + "/elsewhere")
      #expect(failureMessage { _ = try ImageFolder(folder + "/set") }.contains("/set/b: a symbolic link that leads nowhere"))
      try make(folder, ["elsewhere/1.jpg"])
      #expect(try ImageFolder(folder + "/set").classes == ["a", "b", "c"])
    }
  }

  /// Makes folders of which the last can be reached on 2³⁰ paths.
  @Test func foldersThatAreReachedAgainCountOnce() throws {
    try withTemporaryFolder { folder in
      for level in 0..<30 {
        try make(folder, ["set/a/\(level)/\(level).jpg"])
        for name in ["left", "right"] {
          try FileManager.default.createSymbolicLink(
            atPath: "\(folder)/set/a/\(level)/\(name)", withDestinationPath: "../\((level + 1) % 30 == 0 ? 29 : level + 1)")
        }
        if level == 29 {
          for name in ["left", "right"] { try FileManager.default.removeItem(atPath: "\(folder)/set/a/29/\(name)") }
        }
      }
      let images = try ImageFolder(folder + "/set")
      #expect(images.samples.count == 30 && Set(images.samples.map { $0.path.split(separator: "/").last }).count == 30)
    }
  }

  /// Checks that a file whose name is not UTF-8 counts as unreadable.
  @Test func namesThatAreNoText() throws {
    try withTemporaryFolder { folder in
      try make(folder, ["a/1.jpg"])
      let name = Array("\(folder)/a/".utf8) + [0xFF, 0xFE] + Array(".jpg".utf8) + [0]
      let file = name.withUnsafeBufferPointer { bytes in
        bytes.withMemoryRebound(to: CChar.self) { fopen($0.baseAddress!, "w") }
      }
      fclose(file)
      let images = try ImageFolder(folder)
      #expect(images.samples.count == 2)
      let path = try #require(images.samples.first { !$0.path.hasSuffix("/1.jpg") }).path
      #expect(failureMessage { _ = try EncodedImage(contentsOf: path) }.contains("not in UTF-8"))
    }
  }
}
