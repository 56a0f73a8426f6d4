import Foundation
import Glibc
import Images
import Support
import Synchronization

/// Display of the work that takes time, and the gate through which everything is printed. There is one, because a process has
/// one terminal.
///
/// It is one line on a terminal, which a thread of its own draws four times a second. Work reports its progress without ever
/// waiting for the terminal. Elsewhere it is a whole line every ten seconds, without any control characters.
final class Display: Sendable {
  static let shared = Display()

  /// Standard stream that progress goes to.
  enum Stream: Sendable {
    case output, error

    fileprivate var descriptor: Int32 { self == .output ? STDOUT_FILENO : STDERR_FILENO }
    fileprivate var writer: OutputWriter { self == .output ? StandardStreams.output : StandardStreams.error }
  }

  /// Work that is shown. It is locked for moments only.
  private struct Work {
    var progress: WorkProgress?
    var stream = Stream.error
    var isQuiet = false
    var hasThread = false
  }

  /// Facts about what was written.
  private struct Screen {
    /// Stream that shows the live line; nil if none does.
    var live: Stream?
    /// Number of the picture of the sign of life.
    var frame = 0
    /// Whether the last line of standard output is not ended yet, and is on a terminal.
    var isMidLine = false
    var lastDraw: Double = -1
    /// Time of the last line in a log, and its text.
    var lastLog: (time: Double, text: String) = (0, "")
  }

  private let work = Mutex(Work())
  private let screen = Mutex(Screen())
  private let start = ContinuousClock.now
  private let style = LineStyle(ProcessInfo.processInfo.environment)
  private let showsLive: Bool

  /// Seconds between two drawings, and between two lines of a log.
  private static let (pause, logPause) = (0.25, 10.0)

  private init() {
    let terminal = ProcessInfo.processInfo.environment["TERM"] ?? ""
    showsLive = !terminal.isEmpty && terminal != "dumb"
  }

  /// Seconds since the program began.
  var now: Double { (ContinuousClock.now - start).seconds }

  /// Whether nothing but results, warnings and errors is wanted.
  var isQuiet: Bool {
    get { work.withLock { $0.isQuiet } }
    set { work.withLock { $0.isQuiet = newValue } }
  }

  // MARK: Progress

  /// Chooses the stream of progress. The other one is for results.
  func use(_ stream: Stream) { work.withLock { $0.stream = stream } }

  /// Begins a kind of work.
  /// - Parameter total: number of items; nil if it is not known.
  func begin(_ phase: WorkProgress.Phase, of total: Int? = nil) { update { $0.begin(phase, of: total, at: $1) } }

  /// Begins a training run.
  func begin(_ run: RunProgress) { update { $0.begin(run, at: $1) } }

  /// Reports that so many items are done.
  func advance(to done: Int, _ detail: String? = nil) { update { $0.advance(to: done, detail, at: $1) } }

  /// Reports that one more item is done.
  func advance(_ detail: String? = nil) { update { $0.advance(detail, at: $1) } }

  /// Reports a step of a training run.
  func advance(to step: RunProgress.Step) { update { $0.advance(to: step, at: $1) } }

  /// Goes on with a kind of work, or begins it.
  func advance(_ phase: WorkProgress.Phase, to done: Int, of total: Int, _ detail: String? = nil) {
    update { progress, now in
      if progress.phase != phase { progress.begin(phase, of: total, at: now) }
      progress.advance(to: done, detail, at: now)
    }
  }

  /// Shows how many classes, rows or paths of images are found.
  static let reading: ReadingProgress = { Display.shared.advance(.reading, to: $0, of: $1, $2) }

  /// Ends the work: the line disappears.
  func finish() {
    work.withLock { $0.progress = nil }
    screen.withLock { clear(&$0) }
  }

  private func update(_ change: (inout WorkProgress, _ now: Double) -> Void) {
    let now = now
    let needsThread = work.withLock { work in
      if work.isQuiet { return false }
      var progress = work.progress ?? WorkProgress()
      change(&progress, now)
      work.progress = progress
      defer { work.hasThread = true }
      return !work.hasThread
    }
    guard needsThread else { return }
    screen.withLock { $0.lastLog.time = now }
    Thread.detachNewThread {
      Thread.current.name = "display"
      while true {
        Thread.sleep(forTimeInterval: Self.pause)
        self.screen.withLock { self.draw(&$0) }
      }
    }
  }

  // MARK: Printing

  /// Writes a text to standard output or standard error. On a terminal the live line makes room for it and is drawn again.
  func write(_ text: String, to stream: Stream, _ kind: OutputWriter.Kind) {
    screen.withLock { screen in
      guard isatty(stream.descriptor) == 1 else {
        stream.writer.put(text, kind)
        return
      }
      let wasLive = screen.live != nil
      clear(&screen)
      stream.writer.put(text, kind)
      if stream == .output { screen.isMidLine = !text.hasSuffix("\n") }
      // Many lines in a short time need no line of progress between them.
      if wasLive, now - screen.lastDraw > Self.pause / 2 { draw(&screen) }
    }
  }

  /// Removes the live line.
  private func clear(_ screen: inout Screen) {
    guard let stream = screen.live else { return }
    stream.writer.put("\r\u{1B}[J", .result)
    screen.live = nil
  }

  private func draw(_ screen: inout Screen) {
    let (progress, stream) = work.withLock { ($0.progress, $0.stream) }
    guard let progress, !screen.isMidLine else { return }
    let now = now
    guard showsLive, isatty(stream.descriptor) == 1 else { return log(progress, stream, now, &screen) }
    // A program in the background leaves the terminal to the others.
    let foreground = tcgetpgrp(stream.descriptor)
    guard foreground == -1 || foreground == getpgrp() else { return }
    screen.frame += 1
    let line = style.line(
      frame: screen.frame, progress.fields(style, at: now).map(printable), fraction: progress.fraction,
      width: Self.width(of: stream))
    // The cursor returns to the line's beginning. A terminal that becomes narrower wraps the line below it, where ESC [ J
    // removes the rest.
    if stream.writer.put("\r\(line)\u{1B}[J\r", .picture) { (screen.live, screen.lastDraw) = (stream, now) }
  }

  private func log(_ progress: WorkProgress, _ stream: Stream, _ now: Double, _ screen: inout Screen) {
    guard now - screen.lastLog.time >= Self.logPause, let line = progress.logLine(at: now), line != screen.lastLog.text else {
      return
    }
    screen.lastLog = (now, line)
    stream.writer.put("\(printable(line))\n", .progress)
  }

  /// Number of columns of a terminal; 0 if it is not known.
  static func width(of stream: Stream) -> Int {
    var size = winsize()
    return ioctl(stream.descriptor, UInt(TIOCGWINSZ), &size) == 0 ? Int(size.ws_col) : 0
  }

  /// Width of the terminal that lines are for; nil if they are for no terminal.
  var terminalWidth: Int? {
    let stream = work.withLock { $0.stream }
    return isatty(stream.descriptor) == 1 ? Self.width(of: stream) : nil
  }
}

/// Prints on standard output, apart from a line of progress. It hides Swift's function of this name.
func print(_ value: Any, terminator: String = "\n") { Display.shared.write("\(value)\(terminator)", to: .output, .result) }

/// Prints on standard output what is neither a result nor a warning: `--quiet` leaves it out.
func printNote(_ text: String) {
  if !Display.shared.isQuiet { Display.shared.write("\(text)\n", to: .output, .progress) }
}

/// Prints on standard error what is neither a warning nor an error: `--quiet` leaves it out.
func printErrorNote(_ line: String) { if !Display.shared.isQuiet { printError(line, .progress) } }
