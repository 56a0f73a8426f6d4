import CPUBackend
import Compute
import Conformance
import Foundation
import OpenCLBackend
import TestSupport
import Testing

/// Checks that the catalog finds kernels that write or read beyond their operands.
@Suite struct GuardZoneTests {
  /// Copies the kernels of `Kernels/OpenCL`, with one text of elementwise.cl replaced, and returns what the case `relu [17]`
  /// complains.
  private func complaint(replacing text: String, by wrong: String, isGuarded: Bool = true) throws -> String {
    try withTemporaryFolder { folder in
      try copyKernels(to: "\(folder)/kernels", altering: "elementwise.cl") { kernels in
        let altered = kernels.replacingOccurrences(of: text, with: wrong)
        #expect((altered != kernels) == (text != wrong))
        return altered
      }
      let device = try DeviceList.find("opencl").device
      let backend = try OpenCLBackend(device: device, traits: DeviceTraits(device), kernels: "\(folder)/kernels")
      let subject = try #require(Catalog.small.first { $0.name == "relu [17]" })
      return try Conformance.check(subject, on: backend, against: CPUBackend(), isGuarded: isGuarded).message
    }
  }

  private static let store = "STORE_REAL(v < 0.0f ? (floatv)(0.0f) : v, y + i);"

  @Test func correctKernelsLeaveTheZonesAlone() throws {
    #expect(try complaint(replacing: Self.store, by: Self.store) == "")
  }

  /// Writes one element too far. Without the zones, nothing in the result tells.
  @Test func oneElementBehindTheEndIsFound() throws {
    let overrun = "\(Self.store) y[17] = 1.0f;"
    #expect(
      try complaint(replacing: Self.store, by: overrun)
        == "y: the operation wrote 4 of the bytes 0 … 3 of the guard zone behind its end")
    #expect(try complaint(replacing: Self.store, by: overrun, isGuarded: false) == "")
  }

  @Test func oneElementBeforeTheBeginningIsFound() throws {
    #expect(
      try complaint(replacing: Self.store, by: "\(Self.store) y[-1] = 1.0f;")
        == "y: the operation wrote 4 of the bytes 1020 … 1023 of the guard zone before its beginning")
  }

  /// Changes an operand that is only read.
  @Test func aSourcesZonesAreCheckedToo() throws {
    let overrun = "\(Self.store) ((__global real *)x)[18] = 1.0f;"
    #expect(
      try complaint(replacing: Self.store, by: overrun)
        == "x: the operation wrote 4 of the bytes 4 … 7 of the guard zone behind its end")
  }

  /// Takes the last element from behind the end, where a zone holds NaNs.
  @Test func aReadBehindTheEndShowsInTheResult() throws {
    let message = try complaint(
      replacing: Self.store, by: "STORE_REAL(i == 16 ? LOAD_REAL(x + 17) : v < 0.0f ? (floatv)(0.0f) : v, y + i);")
    #expect(message.hasPrefix("y[16] is nan"), "\(message)")
  }
}
