import Compute

/// Results that a device computes while the host goes on, each with what the host knows about it.
struct InFlight<Context> {
  private var pending: [(context: Context, readbacks: [any Readback])] = []

  /// Number of results that may be under way at a time while the next one is prepared.
  static var limit: Int { 2 }

  /// Adds a result whose values are being read back.
  mutating func add(_ context: Context, _ readbacks: [any Readback]) { pending.append((context, readbacks)) }

  /// Calls `body` with the oldest results, in order, until at most `left` are under way.
  mutating func collect(leaving left: Int = Self.limit, _ body: (Context, [HostTensor]) throws -> Void) throws {
    while pending.count > left {
      let (context, readbacks) = pending.removeFirst()
      try body(context, try readbacks.map { try $0.wait() })
    }
  }
}
