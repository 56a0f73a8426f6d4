import Glibc
import Synchronization

/// Last words of a process that a signal ends while a driver runs its kernels for the first time.
///
/// A driver that cannot load a file of its own cache ends the process, for example by an assertion, so that nothing else can tell
/// the reason. A signal handler may do little, so the words are ready before: the handler writes them, and lets the signal have
/// the effect that it had before.
enum LastWords {
  /// Signals by which drivers end a process.
  private static let signals = [SIGABRT, SIGSEGV, SIGBUS]

  /// Words for one signal, and what the signal did before.
  private struct Entry {
    let signal: Int32
    let text: UnsafeMutablePointer<CChar>
    let count: Int
    var before = sigaction()
  }

  /// The entries, which stay as long as the process lives. They are made once, before a handler can read them.
  nonisolated(unsafe) private static var entries: UnsafeMutablePointer<Entry>?
  private static let isReady = Atomic(false)

  /// Gets the words ready, and takes the signals. The words of an earlier call stay.
  /// - Parameter text: returns the words, from what ended the process.
  static func prepare(_ text: (_ how: String) -> String) {
    if entries == nil {
      let made = UnsafeMutablePointer<Entry>.allocate(capacity: signals.count)
      // On a terminal, a line of progress may stand there.
      let begin = isatty(STDERR_FILENO) == 1 ? "\n" : ""
      for (index, signal) in signals.enumerated() {
        let line = "\(begin)\(text("signal \(signal), \(String(cString: strsignal(signal)))"))\n"
        (made + index).initialize(to: Entry(signal: signal, text: strdup(line), count: line.utf8.count))
      }
      entries = made
      var action = sigaction()
      action.__sigaction_handler.sa_handler = { number in LastWords.say(number) }
      for (index, signal) in signals.enumerated() { sigaction(signal, &action, &made[index].before) }
    }
    isReady.store(true, ordering: .relaxed)
  }

  /// Leaves the signals without words from here on.
  static func withdraw() { isReady.store(false, ordering: .relaxed) }

  private static func say(_ number: Int32) {
    guard let entries else { return }
    var index = 0
    while entries[index].signal != number { index += 1 }
    var stream = pollfd(fd: STDERR_FILENO, events: Int16(POLLOUT), revents: 0)
    // A stream that nobody reads must not hold up the end.
    if isReady.load(ordering: .relaxed), poll(&stream, 1, 0) > 0 {
      _ = write(STDERR_FILENO, entries[index].text, entries[index].count)
    }
    sigaction(number, &entries[index].before, nil)
    raise(number)
  }
}
