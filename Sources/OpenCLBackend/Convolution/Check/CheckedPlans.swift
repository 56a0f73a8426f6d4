/// Plans of convolutions that a device has computed correctly, by their keys. The cache of the device keeps them for later starts.
package final class CheckedPlans {
  private let cache: DeviceCache?
  private lazy var keys: Set<String> = cache?.checkedPlans() ?? []
  private var unsaved: [String] = []
  private var savesAtOnce = true
  /// Callback with the reason for each plan that could not be checked.
  package let onUnknown: (String) -> Void
  /// Number of plans that could not be checked, or are wrong.
  private(set) var misses = 0

  /// - Parameter cache: keeps the keys; nil to keep them no longer than this object.
  package init(_ cache: DeviceCache?, onUnknown: @escaping (String) -> Void = { _ in }) {
    (self.cache, self.onUnknown) = (cache, onUnknown)
  }

  func contains(_ key: String) -> Bool { keys.contains(key) }

  func add(_ key: String) {
    keys.insert(key)
    unsaved.append(key)
    if savesAtOnce { save() }
  }

  func miss() { misses += 1 }

  /// Runs `body` and then saves what it has added, in one write.
  func savingOnce<Result>(_ body: () throws -> Result) rethrows -> Result {
    savesAtOnce = false
    defer {
      savesAtOnce = true
      save()
    }
    return try body()
  }

  private func save() {
    if !unsaved.isEmpty { cache?.rememberChecked(unsaved) }
    unsaved = []
  }
}
