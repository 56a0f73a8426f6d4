import Foundation
import Glibc
import Support

/// Writer of standard output or standard error.
///
/// At first the thread that prints a text writes it. After ``detach()`` a thread of the writer does, and whoever prints only adds
/// to a queue. So a pipe that is full, or a terminal that is stopped, holds up nobody.
package final class OutputWriter: @unchecked Sendable {  // The condition's lock guards everything that changes.
  /// What happens to a text while the reader does not read.
  package enum Kind: Sendable {
    /// Picture of the live line: it is left out while anything waits.
    case picture
    /// Line of progress: it is left out and counted while the queue is full.
    case progress
    /// Result, warning or error: it is kept.
    case result
  }

  /// Bytes that make the queue full.
  package static let capacity = 1 << 16
  /// Bytes from which on results are left out, too, if nobody waits.
  private static let most = 1 << 24

  private let descriptor: Int32
  private let condition = NSCondition()
  private var isDetached = false
  /// Whether a result waits while the queue is full.
  private var waits = true
  /// Whether a result waits no longer, as the program has to end.
  private var hurries = false
  /// Texts that wait, and number of bytes that the thread is writing.
  private var (queue, bytesUnderWay): ([UInt8], Int) = ([], 0)
  private var linesLeftOut = 0
  private var firstError: Int32 = 0

  package init(_ descriptor: Int32) { self.descriptor = descriptor }

  /// Error number of the first write that failed; 0 if none did.
  package var failure: Int32 { locked { firstError } }

  /// Lets a thread write from here on.
  package func detach() {
    guard locked({ !isDetached }) else { return }
    let thread = WorkerThread {
      Thread.current.name = "output \(self.descriptor)"
      self.writeForever()
    }
    // Without a thread, whoever prints goes on writing.
    guard let thread else { return }
    locked { isDetached = true }
    thread.detach()
  }

  /// Lets results wait for a reader no longer. From 16 MB on they are left out and counted.
  package func neverWait() {
    locked {
      waits = false
      condition.broadcast()
    }
  }

  /// Lets results that wait go on, as a signal asks the program to end.
  package func hurry() {
    locked {
      hurries = true
      condition.broadcast()
    }
  }

  /// Writes a text, or adds it to the queue.
  /// - Returns: false if it is left out.
  @discardableResult
  package func put(_ text: String, _ kind: Kind) -> Bool {
    locked {
      guard isDetached else {
        note(write(Array(text.utf8)))
        return true
      }
      if kind == .result { while waits && !hurries && bytesWaiting > Self.capacity && !isGone { condition.wait() } }
      let limit = kind == .picture ? 0 : kind == .progress ? Self.capacity : Self.most
      if bytesWaiting > limit {
        if kind != .picture { linesLeftOut += 1 }
        return false
      }
      if kind != .picture { mentionLinesLeftOut() }
      queue += text.utf8
      condition.broadcast()
      return true
    }
  }

  /// Waits until everything is written. If results do not wait for a reader, or a signal has come, the time in which the reader
  /// takes nothing is limited.
  /// - Parameter seconds: the limit.
  package func finish(within seconds: Double) {
    locked {
      if bytesWaiting <= Self.capacity { mentionLinesLeftOut() }
      condition.broadcast()
      var (deadline, left): (Date?, Int) = (nil, .max)
      while isDetached && bytesWaiting > 0 && !isGone {
        if hurries || !waits, deadline == nil || bytesWaiting < left {
          (deadline, left) = (Date(timeIntervalSinceNow: seconds), bytesWaiting)
        }
        // A date in the distant future is more than the condition can count to.
        if let deadline { if !condition.wait(until: deadline) { return } } else { condition.wait() }
      }
    }
  }

  // MARK: Within the lock

  private var bytesWaiting: Int { queue.count + bytesUnderWay }
  /// Whether the reader has closed the pipe.
  private var isGone: Bool { firstError == EPIPE }

  private func mentionLinesLeftOut() {
    if linesLeftOut == 0 { return }
    queue += "… \(linesLeftOut) \(linesLeftOut == 1 ? "line" : "lines") left out, as nobody read the output\n".utf8
    linesLeftOut = 0
  }

  private func note(_ error: Int32) { if firstError == 0 { firstError = error } }

  private func locked<Result>(_ body: () -> Result) -> Result {
    condition.lock()
    defer { condition.unlock() }
    return body()
  }

  // MARK: Writing

  private func writeForever() {
    condition.lock()
    while true {
      while queue.isEmpty { condition.wait() }
      let bytes = queue
      (queue, bytesUnderWay) = ([], bytes.count)
      condition.unlock()
      let error = write(bytes) { count in
        locked {
          bytesUnderWay -= count
          condition.broadcast()
        }
      }
      condition.lock()
      note(error)
      bytesUnderWay = 0
      condition.broadcast()
    }
  }

  /// Number of bytes that are written at once: a pipe takes as many as a whole.
  private static let piece = 4096

  /// Writes bytes, and waits for a reader as long as it takes.
  /// - Parameter progress: called with the number of bytes that were written.
  /// - Returns: the error number; 0 if there was no error.
  private func write(_ bytes: [UInt8], progress: (Int) -> Void = { _ in }) -> Int32 {
    bytes.withUnsafeBytes { whole in
      var rest = whole[...]
      while !rest.isEmpty {
        let count = Glibc.write(
          descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, min(rest.count, Self.piece))
        if count >= 0 {
          rest = rest.dropFirst(count)
          progress(count)
        } else if errno == EAGAIN {
          // Another process that shares the terminal has made it non-blocking.
          var request = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
          poll(&request, 1, -1)
        } else if errno != EINTR {
          return errno
        }
      }
      return 0
    }
  }
}
