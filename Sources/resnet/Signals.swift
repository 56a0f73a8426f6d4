import ArgumentParser
import Glibc
import Synchronization

/// Turns a signal into a wish to stop that the work in progress looks at, so that it can save its state first. The second one ends
/// the process at once.
enum Signals {
  private static let received = Atomic<Int32>(0)

  /// The signal that arrived, or nil.
  static var pending: Int32? {
    let signal = received.load(ordering: .relaxed)
    return signal == 0 ? nil : signal
  }

  /// What to exit with after the pending signal, as shells have it.
  static var exitCode: ExitCode { ExitCode(128 + (pending ?? 0)) }

  static func catchAll() {
    _ = pending  // The atomic exists before a handler may touch it.
    for number in [SIGINT, SIGTERM, SIGHUP] {
      let before = signal(number) { number in
        Signals.received.store(number, ordering: .relaxed)
        signal(number, SIG_DFL)
      }
      // `nohup` has asked that a hang-up be ignored.
      if number == SIGHUP && isIgnored(before) { signal(number, SIG_IGN) }
    }
    // The reader of our output has gone; what is printed from here on goes nowhere.
    signal(SIGPIPE) { number in Signals.received.store(number, ordering: .relaxed) }
    // Some callers leave signals blocked, which a program inherits.
    var blocked = sigset_t()
    for number in [SIGINT, SIGTERM, SIGHUP, SIGPIPE] { sigaddset(&blocked, number) }
    pthread_sigmask(SIG_UNBLOCK, &blocked, nil)
  }

  private static func isIgnored(_ handler: sighandler_t?) -> Bool {
    unsafeBitCast(handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
  }
}
