import Compute
import Formats
import Foundation
import OpenCL
import OpenCLBackend
import Support
import TestSupport
import Testing

/// Tests the cache on disk, in the test's own folder: intact, damaged, foreign, or missing.
@Suite final class DeviceCacheTests {
  private let temporary: TemporaryFolder
  private var folder: String { "\(temporary.path)/cache" }
  private let device: Device
  private var warnings: [String] = []

  init() throws {
    temporary = try TemporaryFolder()
    device = try DeviceList.find("opencl").device
  }

  private func cache(_ path: String? = nil) throws -> DeviceCache {
    try DeviceCache(path ?? folder, device: device) { self.warnings.append($0) }
  }

  private func table(_ indices: Range<Int>) -> TuningTable {
    var table = TuningTable()
    for index in indices {
      table[ConvolutionChoiceTests.works[index]] = TuningTable.Entry(
        choice: index % 2 == 0 ? ConvolutionChoice("direct TC=2 TQ=\(index)") : nil, builtInSeconds: 1.25e-3, seconds: 1e-3,
        isComplete: index % 3 == 0)
    }
    return table
  }

  @Test func tablesAreKeptAndMerged() throws {
    #expect(try cache().loadTable() == TuningTable())
    #expect(!FileManager.default.fileExists(atPath: folder), "reading makes nothing")
    try cache().save(table(0..<3))
    #expect(try cache().loadTable() == table(0..<3))
    #expect(try cache().save(table(2..<6)) == table(0..<6))
    #expect(try cache().loadTable() == table(0..<6))
    #expect(warnings.isEmpty)
  }

  @Test func writersAtOnceLoseNothing() throws {
    let count = ConvolutionChoiceTests.works.count
    nonisolated(unsafe) let writers = try (0..<count).map { (try cache(), table($0..<$0 + 1)) }
    DispatchQueue.concurrentPerform(iterations: count) { _ = writers[$0].0.save(writers[$0].1) }
    #expect(try cache().loadTable() == table(0..<count))
    #expect(warnings.isEmpty)
  }

  @Test func damageIsNoticedAndMended() throws {
    let path = "\(try cache().path)/tuning"
    try cache().save(table(0..<4))
    let whole = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    let shorter = [0, 1, 20, 40, whole.count / 2, whole.count - 1].map { Array(whole.prefix($0)) }
    let changed = stride(from: 0, to: whole.count, by: 17).map { index in
      var bytes = whole
      bytes[index] ^= 4
      return bytes
    }
    for bytes in shorter + changed + [whole + [0], [UInt8](repeating: 0, count: 1000)] {
      warnings = []
      try Data(bytes).write(to: URL(fileURLWithPath: path))
      #expect(try cache().loadTable() == TuningTable(), "\(bytes.count) bytes were trusted")
      #expect(warnings.count == 1 && warnings.first?.contains(path) == true)
    }
    try cache().save(table(0..<2))
    #expect(try cache().loadTable() == table(0..<2))
  }

  @Test func contentsThatMakeNoSenseAreNotTrusted() throws {
    let cache = try cache()
    cache.save(table(0..<1))
    for body in [
      "", "{}", "[1]", "[{\"work\":\"x\"}]",
      "[{\"work\":\"x\",\"choice\":\"fast\",\"built_in_seconds\":1,\"seconds\":1,\"complete\":true}]",
    ] {
      warnings = []
      try AtomicFile.write(CacheFile.bytes(cache.identity, Array(body.utf8)), to: "\(cache.path)/tuning")
      #expect(cache.loadTable() == TuningTable())
      #expect(warnings.count == 1)
    }
  }

  @Test func anotherDevicesTableIsNotUsed() throws {
    let cache = try cache()
    cache.save(table(0..<1))
    let body = Array(table(0..<4).json.description.utf8)
    let foreign = cache.identity.replacingOccurrences(of: "driver\":\"", with: "driver\":\"0")
    try AtomicFile.write(CacheFile.bytes(foreign, body), to: "\(cache.path)/tuning")
    #expect(cache.loadTable() == TuningTable())
    #expect(warnings.count == 1 && warnings.first?.contains("another device") == true)
  }

  @Test func whatCannotBeReadOrWrittenIsAWarning() throws {
    let impossible = try cache("/dev/null/cache")
    #expect(impossible.loadTable() == TuningTable())
    #expect(impossible.save(table(0..<2)) == table(0..<2))
    impossible.save(table(0..<2))
    #expect(warnings.count == 1 && warnings.first?.contains("/dev/null") == true, "\(warnings)")

    warnings = []
    let cache = try cache()
    try FileManager.default.createDirectory(atPath: "\(cache.path)/tuning", withIntermediateDirectories: true)
    #expect(cache.loadTable() == TuningTable())
    #expect(warnings.count == 1)
    cache.save(table(0..<2))
    #expect(warnings.count > 1)
  }

  @Test func folderIsTheUsersOwn() {
    #expect(DeviceCache.userFolder(["XDG_CACHE_HOME": "/a", "HOME": "/b"]) == "/a/resnet")
    #expect(DeviceCache.userFolder(["XDG_CACHE_HOME": "a", "HOME": "/b"]) == "/b/.cache/resnet")
    #expect(DeviceCache.userFolder(["HOME": "/b"]) == "/b/.cache/resnet")
    #expect(DeviceCache.userFolder([:]) == nil)
  }

  @Test func folderIsListedAndCleared() throws {
    try cache().save(table(0..<5))
    try Data("mine".utf8).write(to: URL(fileURLWithPath: "\(folder)/notes"))
    let contents = try CacheFolder.list(folder)
    #expect(contents.count == 1 && contents.first?.table == table(0..<5))
    #expect(contents.first?.identity?["device"] == .string(try device.name))
    try CacheFolder.clear(folder)
    #expect(try CacheFolder.list(folder).isEmpty)
    #expect(FileManager.default.fileExists(atPath: "\(folder)/notes"), "what is not ours stays")
    try CacheFolder.clear("\(folder)/nothing")
  }

  /// Checks that the marker of a process is left only if the process is dead.
  @Test func startsAreMarked() throws {
    let cache = try cache()
    #expect(StartMarker.left(in: cache).isEmpty)
    var marker = StartMarker.place(in: cache)
    let path = try #require(marker).path
    #expect(FileManager.default.fileExists(atPath: path) && StartMarker.left(in: cache).isEmpty, "this process lives")
    #expect(StartMarker.place(in: cache) == nil, "a process has one")
    let starts = try FileManager.default.contentsOfDirectory(atPath: cache.path).filter {
      $0.contains("tmp") || $0.contains("start")
    }
    #expect(starts.map { "\(cache.path)/\($0)" } == [path], "no draft of the file stays")
    marker = nil
    #expect(!FileManager.default.fileExists(atPath: path))
    // No process holds this file.
    try Data().write(to: URL(fileURLWithPath: path))
    #expect(StartMarker.left(in: cache) == [path])
    try CacheFolder.clear(folder)
    #expect(StartMarker.left(in: cache).isEmpty && !FileManager.default.fileExists(atPath: path))
    #expect(warnings.isEmpty)
  }

  // MARK: Programs

  /// Returns relu of [-1, 2], from a backend that caches its programs.
  private func relu() throws -> [Float] {
    let backend = try OpenCLBackend(device: device, traits: DeviceTraits(device), programs: cache())
    let x = try backend.upload(HostTensor([-1, 2] as [Float], shape: [2]))
    try backend.relu(x, into: x)
    return try backend.download(x).floats
  }

  private func programs() throws -> [String: UInt64] {
    let path = try cache().path
    return try Dictionary(
      uniqueKeysWithValues: FileManager.default.contentsOfDirectory(atPath: path).filter { $0.hasSuffix(".program") }.map {
        let attributes = try FileManager.default.attributesOfItem(atPath: "\(path)/\($0)")
        return ("\(path)/\($0)", try #require(attributes[.systemFileNumber] as? UInt64))
      })
  }

  @Test func programsAreTakenBack() throws {
    #expect(try relu() == [0, 2])
    let first = try programs()
    #expect(first.count == 1)
    #expect(try relu() == [0, 2])
    // A program that was built again would have been written again.
    #expect(try programs() == first)
    #expect(try CacheFolder.list(folder).first?.programs == 1)
    #expect(warnings.isEmpty)
  }

  @Test func damagedProgramsAreBuiltAgain() throws {
    #expect(try relu() == [0, 2])
    let first = try programs()
    let path = try #require(first.keys.first)
    var bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    bytes[bytes.count / 2] ^= 1
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    #expect(try relu() == [0, 2])
    #expect(warnings.count == 1)
    #expect(try programs() != first)
    #expect(try relu() == [0, 2])
    #expect(warnings.count == 1)
  }
}
