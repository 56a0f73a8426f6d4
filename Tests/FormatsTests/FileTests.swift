import Formats
import Foundation
import Support
import TestSupport
import Testing

@Suite struct FileTests {
  private func names(_ folder: String) throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: folder).sorted() }

  private func text(_ path: String) throws -> String { String(decoding: try InputFile(path).read(), as: UTF8.self) }

  @Test func writesAndReplaces() throws {
    try withTemporaryFolder { folder in
      try AtomicFile.write("one", to: folder + "/x")
      try AtomicFile.write("", to: folder + "/x")
      #expect(try text(folder + "/x") == "")
      try AtomicFile.write("three", to: folder + "/x")
      #expect(try text(folder + "/x") == "three")
      #expect(try names(folder) == ["x"])
    }
  }

  @Test func aFailureLeavesWhatWasThere() throws {
    struct Interruption: Error {}
    try withTemporaryFolder { folder in
      try AtomicFile.write("old", to: folder + "/x")
      #expect(throws: Interruption.self) {
        try AtomicFile.write(to: folder + "/x") { output in
          try Array("new".utf8).withUnsafeBytes(output.write)
          #expect(try names(folder).count == 2)
          throw Interruption()
        }
      }
      #expect(try text(folder + "/x") == "old")
      #expect(try names(folder) == ["x"])
    }
  }

  @Test func aSymbolicLinkStays() throws {
    try withTemporaryFolder { folder in
      try AtomicFile.write("old", to: folder + "/x")
      try FileManager.default.createSymbolicLink(atPath: folder + "/link", withDestinationPath: folder + "/x")
      try AtomicFile.write("new", to: folder + "/link")
      #expect(try text(folder + "/x") == "new")
      #expect(try FileManager.default.destinationOfSymbolicLink(atPath: folder + "/link") == folder + "/x")
    }
  }

  @Test func permissionsFollowTheMask() throws {
    try withTemporaryFolder { folder in
      try AtomicFile.write("x", to: folder + "/atomic")
      #expect(FileManager.default.createFile(atPath: folder + "/plain", contents: nil))
      func mode(_ name: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: folder + "/" + name)[.posixPermissions] as? Int
      }
      #expect(try mode("atomic") == mode("plain"))
    }
  }

  @Test(arguments: [
    ("", "without a name"), ("/dev/null", "not a regular file"), (".", "not a regular file"),
    ("/nowhere/at/all", "no folder /nowhere/at"), ("/dev/null/x", "/dev/null is not a folder"),
    ("/proc/resnet", "No such file or directory"), ("/tmp/" + String(repeating: "x", count: 300), "File name too long"),
  ])
  func unwritable(_ path: String, says: String) throws {
    let message = failureMessage { try AtomicFile.write("x", to: path) }
    #expect((path.isEmpty || message.contains(path)) && message.contains(says))
  }

  @Test(arguments: [
    ("/nowhere/at/all", "No such file or directory"), ("/tmp", "it is a folder"), ("/dev/zero", "not a regular file"),
    ("/dev/null/x", "Not a directory"),
  ])
  func unreadable(_ path: String, says: String) throws {
    let message = failureMessage { _ = try InputFile(path) }
    #expect(message.contains(path) && message.contains(says))
  }

  @Test func aNamedPipeDoesNotHang() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/pipe"
      #expect(mkfifo(path, 0o600) == 0)
      let message = failureMessage { _ = try InputFile(path) }
      #expect(message.contains(path) && message.contains("not a regular file"))
    }
  }

  @Test func readingPastTheEnd() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/x"
      try AtomicFile.write("abc", to: path)
      #expect(try InputFile(path).read(2, at: 1) == Array("bc".utf8))
      let message = failureMessage { _ = try InputFile(path).read(3, at: 1) }
      #expect(message == "cannot read \(path): it ends at byte 3")
    }
  }
}
