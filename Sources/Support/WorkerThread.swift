import Glibc

/// Thread of the operating system.
package struct WorkerThread: Sendable {
  private let handle: pthread_t

  /// Starts a thread.
  /// - Returns: nil if the system allows no more threads.
  package init?(_ body: @escaping @Sendable () -> Void) {
    final class Body: Sendable {
      let run: @Sendable () -> Void
      init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
    let box = Unmanaged.passRetained(Body(body))
    var handle = pthread_t()
    let status = pthread_create(
      &handle, nil,
      { argument in
        if let argument { Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run() }
        return nil
      }, box.toOpaque())
    guard status == 0 else {
      box.release()
      return nil
    }
    self.handle = handle
  }

  /// Lets the thread end on its own. It cannot be joined afterwards.
  package func detach() { pthread_detach(handle) }

  /// Waits until the thread ends.
  package func join() { pthread_join(handle, nil) }

  /// Number of the machine's processors that are switched on.
  package static var processorCount: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }
}
