import Formats
import Foundation
import Support
import TestSupport
import Testing

@Suite struct FolderTests {
  @Test func makesWhatIsMissing() throws {
    try withTemporaryFolder { folder in
      for path in ["a/b/c", "a/b/c", "a//d/", "."] { try Folder.make("\(folder)/\(path)") }
      #expect(InputFile.exists("\(folder)/a/b/c") && InputFile.exists("\(folder)/a/d"))
    }
  }

  @Test func aFileInTheWayIsNamed() throws {
    try withTemporaryFolder { folder in
      try AtomicFile.write("", to: "\(folder)/file")
      for path in ["\(folder)/file", "\(folder)/file/below"] {
        let message = failureMessage { try Folder.make(path) }
        #expect(message.contains("\(folder)/file"))
      }
      #expect(failureMessage { try Folder.make("") } == "cannot make a folder without a name")
    }
  }

  @Test func aLockHoldsUntilItIsDropped() throws {
    try withTemporaryFolder { folder in
      do {
        let lock = try Folder.Lock(folder)
        #expect(try Folder.Lock(folder) == nil)
        try withExtendedLifetime(lock) { _ = try #require(lock) }
      }
      #expect(try Folder.Lock(folder) != nil)
      #expect(throws: Failure.self) { try Folder.Lock("\(folder)/missing") }
    }
  }

  @Test func linesAreAppendedAtOnce() throws {
    try withTemporaryFolder { folder in
      let path = "\(folder)/log"
      try AtomicFile.write("one\n", to: path)
      let file = try AppendingFile(path)
      try file.write(line: "two")
      #expect(try InputFile(path).read() == Array("one\ntwo\n".utf8))
      #expect(throws: Failure.self) { try AppendingFile("\(folder)/missing") }
      let full = try AppendingFile("/dev/full")
      #expect(failureMessage { try full.write(line: "x") } == "cannot write /dev/full: No space left on device")
    }
  }
}
