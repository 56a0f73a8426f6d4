import Foundation
import OpenCL
import TestSupport
import Testing

/// Tests the folder where PoCL caches compiled kernels, and the folder that replaces it if it is not usable.
@Suite struct PoCLCacheTests {
  private let temporary: TemporaryFolder
  private var folder: String { temporary.path }

  init() throws { temporary = try TemporaryFolder() }

  @Test func theUsualFolderIsPoCLs() {
    func usual(_ environment: [String: String]) -> String { PoCLCache.usualFolder { environment[$0] } }
    let all = ["POCL_CACHE_DIR": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"]
    #expect(usual(all) == "/a")
    #expect(usual(all.filter { $0.key != "POCL_CACHE_DIR" }) == "/b/pocl/kcache")
    #expect(usual(["XDG_CACHE_HOME": "", "HOME": "/c"]) == "/c/.cache/pocl/kcache")
    #expect(usual([:]) == "/tmp/pocl/kcache")
  }

  @Test func whatCanBeWritten() throws {
    try FileManager.default.createDirectory(atPath: "\(folder)/there", withIntermediateDirectories: true)
    try Data().write(to: URL(fileURLWithPath: "\(folder)/file"))
    #expect(PoCLCache.isUsable("\(folder)/there") && PoCLCache.isUsable("\(folder)/there/more/and/more"))
    #expect(!PoCLCache.isUsable("\(folder)/file") && !PoCLCache.isUsable("\(folder)/file/more") && !PoCLCache.isUsable(""))
    // Nobody can write to this volume, and programs are not loaded from it.
    #expect(!PoCLCache.isUsable("/proc/self/more"))
  }

  /// Checks that other users cannot put programs where this user's programs are loaded from.
  @Test func aPrivateFolderIsNobodyElses() throws {
    let own = try #require(PoCLCache.privateFolder(in: folder))
    #expect(own == "\(folder)/resnet-pocl-\(geteuid())")
    #expect(PoCLCache.privateFolder(in: folder) == own)
    for mode in [0o777, 0o710] {
      try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: own)
      let other = try #require(PoCLCache.privateFolder(in: folder))
      #expect(other != own && other.hasPrefix("\(folder)/resnet-pocl-"))
    }
    try FileManager.default.removeItem(atPath: own)
    try FileManager.default.createSymbolicLink(atPath: own, withDestinationPath: "/tmp")
    #expect(PoCLCache.privateFolder(in: folder) != own)
    #expect(PoCLCache.privateFolder(in: "\(folder)/missing") == nil)
  }
}
