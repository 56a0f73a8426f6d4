import Glibc
import Synchronization

/// Turns the first SIGINT or SIGTERM into a wish to stop that the work in progress looks at; the second ends the process at once.
enum Signals {
  private static let received = Atomic<Int32>(0)

  /// The signal that arrived, or nil.
  static var pending: Int32? {
    let signal = received.load(ordering: .relaxed)
    return signal == 0 ? nil : signal
  }

  static func catchAll() {
    _ = pending  // The atomic exists before a handler may touch it.
    for number in [SIGINT, SIGTERM] {
      signal(number) { number in
        Signals.received.store(number, ordering: .relaxed)
        signal(number, SIG_DFL)
      }
    }
  }
}
