import Foundation
import OpenCL
import OpenCLBackend
import Testing

/// Tests the table of the quirks of drivers.
@Suite struct DriverQuirkTests {
  /// Requires that the page about devices has the same table.
  @Test func quirksAreDocumented() throws {
    let page = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../docs/devices.md")
    let text = try String(contentsOf: page, encoding: .utf8)
    let start = try #require(text.range(of: "| name | drivers | what is done | why |\n|---|---|---|---|\n")).upperBound
    let rows = text[start...].split(separator: "\n", omittingEmptySubsequences: false).prefix { $0.hasPrefix("|") }
    #expect(
      rows.map(String.init)
        == DriverQuirk.all.map { "| `\($0.name)` | \($0.drivers) | \($0.measure) | \($0.reason) |" })
  }

  /// Checks a device of PoCL, or one of another driver.
  @Test func quirksFollowTheDriver() throws {
    for entry in try DeviceList.all() {
      let names = try Set(DriverQuirk.all(of: entry.device).map(\.name))
      #expect(try names.contains("keeps-kernels") == entry.device.platform.isPoCL)
      #expect(names.contains("compiler-memory") == (try entry.device.sharesHostMemory))
    }
  }
}
