import ArgumentParser
import Compute
import Formats
import Foundation
import OpenCLBackend
import Support

struct CacheCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cache", abstract: "Show or remove tuning results and compiled kernels.",
    usage: "resnet cache <subcommand>",
    discussion: "The cache is in $XDG_CACHE_HOME/resnet, or ~/.cache/resnet.", subcommands: [List.self, Clear.self])

  /// Returns the folder of the cache.
  /// - Throws: ``Failure`` if the user has no home folder.
  private static func folder() throws -> String {
    guard let folder = DeviceCache.userFolder(ProcessInfo.processInfo.environment) else {
      throw Failure(
        .notFound, "there is no cache without a home", remedy: "set HOME or XDG_CACHE_HOME to an absolute path")
    }
    return folder
  }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List the contents of the cache, device by device.", usage: "resnet cache list [options]",
      discussion: examples("resnet cache list", "resnet cache list --json"))

    @Flag(help: "Print a JSON array.")
    var json = false

    func run() throws {
      let contents = try CacheFolder.list(CacheCommand.folder())
      if json { return printJSON(.array(contents.map(describe))) }
      for entry in contents {
        print("\(entry.path)  \(bytes(entry.byteCount))")
        for key in ["device", "driver", "platform", "kernels"] {
          if case .string(let value)? = entry.identity?[key] { print("  \(key) \(value)") }
        }
        print("  \(entry.table.entries.count) convolutions tuned, \(entry.programs) programs")
      }
      if contents.isEmpty { print("nothing is kept in \(try CacheCommand.folder())") }
    }

    private func describe(_ entry: CacheFolder.Contents) -> JSON {
      .members([
        "path": .string(entry.path), "identity": entry.identity ?? .null, "bytes": .integer(entry.byteCount),
        "convolutions": .integer(entry.table.entries.count), "programs": .integer(entry.programs),
      ])
    }
  }

  struct Clear: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Remove everything from the cache.", usage: "resnet cache clear",
      discussion: examples("resnet cache clear"))

    func run() throws {
      let folder = try CacheCommand.folder()
      let count = try CacheFolder.list(folder).count
      try CacheFolder.clear(folder)
      print(count == 0 ? "nothing is kept in \(folder)" : "removed what was kept in \(folder)")
    }
  }
}
