import ArgumentParser
import Glibc
import Synchronization

/// Turns a signal into a request to stop, which the work in progress polls, so that it can save its state first. A second signal
/// ends the process at once.
enum Signals {
  private static let received = Atomic<Int32>(0)

  /// Signal that arrived; nil if there was none.
  static var pending: Int32? {
    let signal = received.load(ordering: .relaxed)
    return signal == 0 ? nil : signal
  }

  /// Exit code after the pending signal, as shells define it.
  static var exitCode: ExitCode { ExitCode(128 + (pending ?? 0)) }

  static func catchAll() {
    _ = pending  // The atomic must exist before a handler can use it.
    for number in [SIGINT, SIGTERM, SIGHUP] {
      let before = signal(number) { number in
        Signals.received.store(number, ordering: .relaxed)
        signal(number, SIG_DFL)
      }
      // `nohup` has set hang-ups to be ignored.
      if number == SIGHUP && isIgnored(before) { signal(number, SIG_IGN) }
    }
    // SIGPIPE means that the reader of the output has gone; everything printed from here on is lost.
    signal(SIGPIPE) { number in Signals.received.store(number, ordering: .relaxed) }
    // Some callers leave signals blocked, and a program inherits this.
    var blocked = sigset_t()
    for number in [SIGINT, SIGTERM, SIGHUP, SIGPIPE] { sigaddset(&blocked, number) }
    pthread_sigmask(SIG_UNBLOCK, &blocked, nil)
  }

  private static func isIgnored(_ handler: sighandler_t?) -> Bool {
    unsafeBitCast(handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
  }
}
