import OpenCLBackend
import Synchronization

/// Drivers that this process has begun to use, and whose kernels have not run yet.
enum DriverStarts {
  private static let markers = Mutex<[StartMarker]>([])

  /// Records in a device's cache that its driver is used from now on, so that the next process knows if the driver ends this one.
  /// - Parameter folder: cache of the driver itself; nil if it is not known.
  static func begin(_ cache: DeviceCache?, driverCache folder: String?) {
    guard let cache, let marker = StartMarker.place(in: cache) else { return }
    markers.withLock { $0.append(marker) }
    let advice = folder.map { "; often a file of the driver's own cache is damaged, and `rm -r '\($0)'` removes it" } ?? ""
    LastWords.prepare {
      "Error: the driver ended the program (\($0)) before all kernels had run: run the command again, which finds out why\(advice)"
    }
  }

  /// Records that the drivers have done their work, or that the program ends in order.
  static func end() {
    LastWords.withdraw()
    markers.withLock { $0 = [] }
  }
}
