import Formats
import Foundation
import Support
import TestSupport
import Testing

/// Tests `resnet tune`, `resnet cache` and `--tune`, each test with its own cache.
@Suite struct TuneTests {
  private static let model = "resnet8 --image-size 8 --batch-size 2"

  private func run(_ line: String, _ cache: String, limit: Double = 120) throws -> Program.Result {
    try Program.run(words(line), environment: environment(cache), limit: limit)
  }

  private func words(_ line: String) -> [String] { line.split(separator: " ").map(String.init) }

  private func environment(_ cache: String) -> [String: String] { ["XDG_CACHE_HOME": cache] }

  /// Returns the entries that `resnet tune --json` has timed.
  private func tuned(_ result: Program.Result) throws -> [JSON] {
    guard case .array(let all)? = try JSON(parsing: String(result.out.dropLast()))["convolutions"] else {
      throw Surprise("no convolutions: \(result.out)\(result.err)")
    }
    #expect(all.count > 10)
    return all.filter { $0["seconds"] != .null }
  }

  private func kept(_ cache: String) throws -> Int {
    let result = try run("cache list --json", cache)
    #expect(result.code == 0 && result.err.isEmpty, "\(result.err)")
    guard case .array(let devices) = try JSON(parsing: String(result.out.dropLast())) else { throw Surprise("no list") }
    guard case .integer(let count)? = devices.first?["convolutions"] else { return 0 }
    return count
  }

  @Test func findingsAreKeptListedUsedAndCleared() throws {
    try withTemporaryFolder { cache in
      #expect(try kept(cache) == 0)
      let first = try run("tune \(Self.model) --budget 1 --json", cache)
      #expect(first.code == 0, "\(first.err)")
      let found = try tuned(first)
      #expect(!found.isEmpty)
      #expect(try kept(cache) == found.count)
      let text = try run("cache list", cache)
      #expect(text.out.contains("\(found.count) convolutions tuned") && text.out.contains(cache))
      // Known results are not searched for again.
      let bench = try run("bench model \(Self.model) --steps 1 --json", cache)
      #expect(bench.code == 0 && bench.err.isEmpty, "\(bench.err)")
      #expect(try kept(cache) == found.count)
      #expect(try run("cache clear", cache).code == 0)
      #expect(try kept(cache) == 0)
    }
  }

  @Test func twoAtOnceKeepBoth() throws {
    try withTemporaryFolder { cache in
      let others = try ["resnet8 --image-size 8 --batch-size 2", "resnet8 --image-size 12 --batch-size 1"].map {
        try Running(Program.path, words("tune \($0) --budget 1 --json"), environment: environment(cache))
      }
      let results = try others.map { try $0.end(limit: 120) }
      #expect(results.allSatisfy { $0.code == 0 && !$0.wasKilled })
      let works = try results.flatMap { try tuned($0).map { "\($0["work"] ?? .null)" } }
      #expect(Set(works).count == works.count)
      #expect(try kept(cache) == works.count)
    }
  }

  @Test func signalKeepsWhatThereIs() throws {
    try withTemporaryFolder { cache in
      let program = try Running(Program.path, words("tune \(Self.model)"), environment: environment(cache))
      try program.wait(for: "a first finding") {
        let folder = "\(cache)/resnet"
        return try exists(folder)
          && FileManager.default.contentsOfDirectory(atPath: folder).contains { exists("\(folder)/\($0)/tuning") }
      }
      program.send(SIGINT)
      let result = try program.end()
      #expect(!result.wasKilled && result.code == 130, "\(result.err)")
      #expect(result.out.contains("not tuned"), "all was done before the signal came")
      #expect(try kept(cache) > 0)
    }
  }

  @Test func unwritableCacheIsAWarning() throws {
    let result = try run("tune \(Self.model) --budget 1 --json", "/dev/null/cache")
    #expect(result.code == 0)
    #expect(result.errorLines.count { $0.hasPrefix("warning: ") } <= 1 && result.err.contains("/dev/null"), "\(result.err)")
  }

  @Test func damagedCacheIsAWarning() throws {
    try withTemporaryFolder { cache in
      #expect(try run("tune \(Self.model) --budget 1 --json", cache).code == 0)
      let folder = try #require(try FileManager.default.contentsOfDirectory(atPath: "\(cache)/resnet").first)
      try Data("garbage".utf8).write(to: URL(fileURLWithPath: "\(cache)/resnet/\(folder)/tuning"))
      let line = "bench model \(Self.model) --steps 1"
      let result = try run(line, cache)
      #expect(result.code == 0 && result.errorLines.count == 1 && result.complaint.hasPrefix("warning: "), "\(result.err)")
      #expect(try run("\(line) --tune off", cache).err.isEmpty)
    }
  }

  /// Checks that one cache, one device and one random seed give the same bits, and that `off` gives the same bits as no cache.
  @Test func sameCacheGivesTheSameBits() throws {
    try withTemporaryFolder { (folder: String) throws -> Void in
      let cache = "\(folder)/cache"
      #expect(try run("tune resnet8 --image-size 8 --channels 1 --batch-size 4 --budget 1 --json", cache).code == 0)
      func weights(_ name: String, _ cache: String, _ more: String = "") throws -> Data {
        let line = "\(Samples.run) --max-steps 2 --output \(folder)/\(name) \(more)"
        let result = try Program.run(words(line), environment: environment(cache), in: Samples.folder)
        #expect(result.code == 0, "\(result.err)")
        return try contents("\(folder)/\(name)/last.safetensors")
      }
      #expect(try weights("a", cache) == weights("b", cache))
      #expect(try weights("c", cache, "--tune off") == weights("d", "\(folder)/none"))
      // A run that goes on from its first state says that it may go to other bits.
      try FileManager.default.removeItem(atPath: "\(folder)/c/state-00000002.safetensors")
      let resumed = try Program.run(
        words("train --resume \(folder)/c --tune off"), environment: environment(cache), in: Samples.folder)
      #expect(resumed.code == 0 && resumed.out.contains("--tune off: convolutions may have other kernels"), "\(resumed)")
    }
  }
}
