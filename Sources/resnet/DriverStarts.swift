import OpenCLBackend
import Synchronization

/// Drivers that this process has begun to use, and whose kernels have not run yet.
enum DriverStarts {
  private static let markers = Mutex<[StartMarker]>([])

  /// Records in a device's cache that its driver is used from now on.
  static func begin(_ cache: DeviceCache?) {
    guard let cache, let marker = StartMarker.place(in: cache) else { return }
    markers.withLock { $0.append(marker) }
  }

  /// Records that the drivers have done their work, or that the program ends in order.
  static func end() { markers.withLock { $0 = [] } }
}
