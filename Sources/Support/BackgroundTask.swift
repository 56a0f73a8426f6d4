/// Work on a thread of its own, whose result is fetched later.
package final class BackgroundTask<Value: Sendable>: @unchecked Sendable {  // The value is touched within the monitor only.
  private let monitor = Monitor()
  private var value: Value?

  /// Starts the work. It is done at once if the system allows no more threads.
  package init(_ body: @escaping @Sendable () -> Value) {
    if let thread = WorkerThread({ self.finish(body()) }) { thread.detach() } else { finish(body()) }
  }

  private func finish(_ value: Value) {
    monitor.locked {
      self.value = value
      monitor.wakeAll()
    }
  }

  /// Result of the work; nil while it goes on. Never waits.
  package var result: Value? { monitor.locked { value } }

  /// Waits for the end of the work.
  package func wait() -> Value {
    monitor.locked {
      while true {
        if let value { return value }
        monitor.wait()
      }
    }
  }
}
