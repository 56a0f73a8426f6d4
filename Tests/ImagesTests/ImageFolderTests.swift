import Compute
import Foundation
import Images
import Testing

@Suite struct ImageFolderTests {
  /// Files that are listed and not opened.
  private func make(_ folder: String, _ names: [String]) throws {
    for name in names { try write([], to: "\(folder)/\(name)") }
  }

  /// All formats that are read, by their usual names in any case.
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

  @Test(arguments: ["val", "validation", "test"]) func splitFolders(_ name: String) throws {
    try withTemporaryFolder { folder in
      try make(folder, ["train/a/1.jpg", "train/a/2.jpg", "train/b/1.jpg", "\(name)/a/3.jpg", "\(name)/b/4.jpg"])
      let splits = try ImageFolderSplits(folder)
      #expect(splits.train.samples.count == 3 && splits.validation.samples.map(\.label) == [0, 1])
      #expect(splits.validation.samples[1].path == "\(folder)/\(name)/b/4.jpg")
    }
  }

  @Test(arguments: ["", "/train"]) func oneTreeIsSplit(_ subfolder: String) throws {
    try withTemporaryFolder { folder in
      for name in ["a", "b", "train"] { try make(folder + subfolder, (0..<20).map { "\(name)/\($0).jpg" }) }
      try make(folder + subfolder, ["c/1.jpg", "c/2.jpg"])
      let splits = try ImageFolderSplits(folder, share: 0.2, seed: 1)
      func counts(_ folder: ImageFolder) -> [Int] { (0..<4).map { label in folder.samples.count { $0.label == label } } }
      #expect(counts(splits.validation) == [4, 4, 1, 4] && counts(splits.train) == [16, 16, 1, 16])
      #expect(Set(splits.train.samples).isDisjoint(with: splits.validation.samples))
      #expect(try ImageFolderSplits(folder, share: 0.2, seed: 1) == splits)
      #expect(try ImageFolderSplits(folder, share: 0.2, seed: 2) != splits)
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

  /// 2³⁰ ways lead to the last of these folders.
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

  /// A file whose name is not UTF-8 is one that cannot be read.
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
