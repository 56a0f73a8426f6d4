import Foundation
import Images
import Support
import TestSupport
import Testing

/// Tests archives of images that are read in place.
@Suite struct ArchiveTests {
  private static let long = String(repeating: "long-", count: 15)

  /// Lists what a folder or an archive holds: labels and bytes of the images by their names, in order.
  private func samples(_ folder: ImageFolder) throws -> [(name: Substring, label: Int32, bytes: [UInt8])] {
    try folder.samples.map { ($0.path.dropFirst(folder.path.count), $0.label, try $0.place.read()) }
  }

  /// Writes pictures under names that are hard for archives, and files that are none.
  private func writeTree(_ folder: String) throws {
    for (index, name) in ["a/2", "a/10", "a.b/1", "a/inner/3", "é/\(Self.long)", "Z/é x"].enumerated() {
      try writePicture("\(folder)/\(name).png", height: 5 + index, width: 7, color: (9, 90, 200), noise: UInt32(index))
    }
    try write(Array("words".utf8), to: "\(folder)/a/readme.txt")
    try write(Array("hidden".utf8), to: "\(folder)/a/.hidden.png")
    try write(Array("odd".utf8), to: "\(folder)/__MACOSX/a/._2.png")
  }

  @Test(arguments: ArchiveForm.allCases) func anArchiveIsItsFolder(_ form: ArchiveForm) throws {
    try withTemporaryFolder { folder in
      try writeTree("\(folder)/set")
      let path = "\(folder)/set.\(form.suffix)"
      for top in ["", "./", "photos/"] {
        try writeArchive(ofFolder: "\(folder)/set", under: top, as: form, to: path)
        try? FileManager.default.removeItem(atPath: "\(folder)/set/__MACOSX")
        let (expected, found) = (try ImageFolder("\(folder)/set"), try ImageFolder(path))
        #expect(found.classes == expected.classes && found.classes == ["Z", "a", "a.b", "é"])
        let (from, to) = (try samples(expected), try samples(found))
        #expect(to.map(\.name) == from.map(\.name) && to.map(\.label) == from.map(\.label))
        #expect(to.map(\.bytes) == from.map(\.bytes), "\(form) \(top)")
        #expect(found.ignored.map { $0.dropFirst(found.path.count) } == ["/a/readme.txt"])
        #expect(found.path == (top == "photos/" ? "\(path)/photos" : path))
        let images = try ImageFiles.find([path]).images
        let named = try ImageFiles.find(["\(folder)/set"]).images
        #expect(images.map { $0.path.dropFirst(found.path.count) } == named.map { $0.path.dropFirst(expected.path.count) })
        #expect(images.allSatisfy { $0.file == nil })
      }
    }
  }

  @Test func splitsAreThoseOfTheFolder() throws {
    try withTemporaryFolder { folder in
      try writePhotographs("\(folder)/set", train: 4, validation: 2)
      try writeArchive(ofFolder: "\(folder)/set", under: "set/", as: .zip, to: "\(folder)/set.zip")
      try writeArchive(ofFolder: "\(folder)/set/train", under: "", as: .gnu, to: "\(folder)/train.tar")
      for (path, archive) in [("set", "set.zip"), ("set/train", "train.tar"), ("set/val", "set.zip/set/val")] {
        let (expected, found) = (try ImageFolderSplits("\(folder)/\(path)"), try ImageFolderSplits("\(folder)/\(archive)"))
        #expect(try samples(found.train).map(\.bytes) == samples(expected.train).map(\.bytes))
        #expect(try samples(found.validation).map(\.bytes) == samples(expected.validation).map(\.bytes))
        let measured = (try MeasuredFolder("\(folder)/\(path)").folder, try MeasuredFolder("\(folder)/\(archive)").folder)
        #expect(try samples(measured.1).map(\.name) == samples(measured.0).map(\.name))
      }
      #expect(failureMessage { _ = try ImageFolder("\(folder)/set.zip/none") }.contains("no such folder in the archive"))
      #expect(failureMessage { _ = try ImageFiles.find(["\(folder)/set.zip/none"]) }.contains("no such file or folder"))
    }
  }

  /// Reads members by many threads at a time.
  @Test func threadsReadTogether() throws {
    try withTemporaryFolder { folder in
      let members = (0..<64).map { (name: "a/\($0).png", bytes: [UInt8](repeating: UInt8($0), count: 3000 + $0)) }
      try writeArchive(members, as: .zip, to: "\(folder)/a.zip")
      let images = try ImageFiles.find(["\(folder)/a.zip"]).images
      #expect(images.count == 64)
      DispatchQueue.concurrentPerform(iterations: 640) { index in
        let bytes = try? images[index % 64].read()
        if bytes?.allSatisfy({ $0 == bytes?.first }) != true || bytes?.count != 3000 + Int(bytes?.first ?? 255) {
          Issue.record("image \(index % 64)")
        }
      }
    }
  }

  @Test func hardLinksAreResolved() throws {
    try withTemporaryFolder { folder in
      try writePicture("\(folder)/set/a/1.png", height: 5, width: 7, color: (9, 90, 200), noise: 1)
      try FileManager.default.createDirectory(atPath: "\(folder)/set/b", withIntermediateDirectories: true)
      #expect(link("\(folder)/set/a/1.png", "\(folder)/set/b/2.png") == 0)
      let tar = try Process.run(
        URL(fileURLWithPath: "/bin/tar"), arguments: ["-C", "\(folder)/set", "-cf", "\(folder)/set.tar", "a", "b"])
      tar.waitUntilExit()
      let images = try ImageFolder("\(folder)/set.tar").samples
      #expect(try images.map { try $0.place.read() } == [images[0].place.read(), images[0].place.read()] && images.count == 2)
    }
  }

  @Test(arguments: [ArchiveForm.zip, .gnu]) func symbolicLinksAreLeftOut(_ form: ArchiveForm) throws {
    try withTemporaryFolder { folder in
      let path = "\(folder)/a.\(form.suffix)"
      try writeArchive([("a/1.png", Self.picture)], as: form, to: path, links: [("a/2.png", "1.png"), ("b", "/etc")])
      #expect(try ImageFiles.find([path]).images.map(\.path) == ["\(path)/a/1.png"])
    }
  }

  // MARK: Hostile archives

  private static let picture: [UInt8] = Array("picture".utf8)

  static let hostile: [(String, [(name: String, bytes: [UInt8])], ArchiveForm, String)] = [
    ("outside", [("../a/1.png", picture)], .zip, "leads out of the archive"),
    ("outside", [("a/../../1.png", picture)], .gnu, "leads out of the archive"),
    ("twice", [("a/1.png", picture), ("a/1.png", picture)], .gnu, "two members are called 'a/1.png'"),
    ("twice", [("a/1.png", picture), ("a/1.png", picture)], .zip, "'a/1.png' is there twice"),
    ("twice", [("a/1.png", picture), ("./a//1.png", picture)], .gzip, "two members are called 'a/1.png'"),
    ("both", [("a/1.png", picture), ("a/1.png/2.png", picture)], .zip, "is a file and a folder"),
    ("empty", [], .gnu, "no folders in it"), ("empty", [("a/readme.txt", picture)], .zip, "no images in it"),
  ]

  @Test(arguments: hostile.indices) func isRefused(_ index: Int) throws {
    let (name, members, form, complaint) = Self.hostile[index]
    try withTemporaryFolder { folder in
      let path = "\(folder)/\(name).\(form.suffix)"
      try writeArchive(members, as: form, to: path)
      let message = failureMessage { _ = try ImageFolder(path) }
      #expect(message.contains(complaint) && message.hasPrefix(path), "\(message)")
    }
  }

  @Test func encryptedImagesAreRefused() throws {
    try withTemporaryFolder { folder in
      try writeArchive([("a/1.png", Self.picture)], as: .zip, to: "\(folder)/a.zip", password: "secret")
      let message = failureMessage { _ = try ImageFolder("\(folder)/a.zip") }
      #expect(message.contains("'a/1.png' is encrypted: unpack it with its password"), "\(message)")
    }
  }

  /// Returns the failure of reading the only image of an archive.
  private func complaint(about path: String, atMost limit: Int = 1 << 28) -> String {
    failureMessage { _ = try ImageFiles.find([path]).images[0].read(atMost: limit) }
  }

  /// Reads a member that inflates to another size than it announces, and one that is too large.
  @Test func bombsAreRefused() throws {
    let folder = try TemporaryFolder()
    let path = "\(folder.path)/a.zip"
    try writeArchive([("a/1.png", [UInt8](repeating: 0, count: 1 << 20))], as: .zip, to: path)
    #expect(complaint(about: path, atMost: 1 << 19).contains("\(1 << 20) bytes, over the bound of \(1 << 19)"))
    var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    // The directory is at the end; 24 bytes into its only entry is the size of the contents.
    let entry = bytes.indices.dropLast(4).last { Array(bytes[$0..<$0 + 4]) == [0x50, 0x4B, 1, 2] } ?? 0
    for size in [1 << 19, 1 << 21] {
      for index in 0..<4 { bytes[entry + 24 + index] = UInt8(truncatingIfNeeded: size >> (8 * index)) }
      try write(bytes, to: path)
      #expect(complaint(about: path).contains("it does not hold the \(size) bytes"))
    }
  }

  @Test func damageIsReported() throws {
    try withTemporaryFolder { folder in
      for form in [ArchiveForm.zip, .gnu, .xz, .gzip] {
        let path = "\(folder)/a.\(form.suffix)"
        var random = Philox(seed: 1, stream: 0)
        let noise = (0..<5000).map { _ in UInt8(truncatingIfNeeded: random.below(256)) }
        try writeArchive([("a/1.png", noise), ("b/1.png", noise)], as: form, to: path)
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        try write(Array(bytes.prefix(bytes.count / 3)), to: path)
        let message = failureMessage { for image in try ImageFiles.find([path]).images { _ = try image.read() } }
        #expect(message.contains(path), "\(form): \(message)")
      }
      // A file that is only compressed is no archive, and neither is a text that is called one.
      try write([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3] + Array("nonsense".utf8), to: "\(folder)/b.gz")
      #expect(failureMessage { _ = try ImageFolder("\(folder)/b.gz") }.contains("no tar archive, or a damaged one"))
      try write(Array("nonsense".utf8), to: "\(folder)/c.zip")
      #expect(failureMessage { _ = try ImageFolder("\(folder)/c.zip") }.contains("a file, not a folder"))
    }
  }
}
