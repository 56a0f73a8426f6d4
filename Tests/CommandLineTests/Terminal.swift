import Foundation
import Glibc

/// A pseudo-terminal.
struct PseudoTerminal {
  /// Requests of Linux for pseudo-terminals, TIOCSPTLCK and TIOCGPTN, which Swift does not import.
  private static let (unlock, number): (UInt, UInt) = (0x4004_5431, 0x8004_5430)

  /// The end of the person, and that of the program.
  let person, program: FileHandle

  /// - Parameter columns: width of the terminal.
  init(columns: Int) throws {
    let master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
    var (number, isLocked): (Int32, Int32) = (0, 0)
    guard master >= 0, ioctl(master, Self.unlock, &isLocked) == 0, ioctl(master, Self.number, &number) == 0 else {
      throw Surprise("no pseudo-terminal: \(String(cString: strerror(errno)))")
    }
    person = FileHandle(fileDescriptor: master, closeOnDealloc: true)
    let slave = open("/dev/pts/\(number)", O_RDWR | O_NOCTTY | O_CLOEXEC)
    guard slave >= 0 else { throw Surprise("no terminal: \(String(cString: strerror(errno)))") }
    program = FileHandle(fileDescriptor: slave, closeOnDealloc: true)
    var size = winsize(ws_row: 24, ws_col: UInt16(columns), ws_xpixel: 0, ws_ypixel: 0)
    guard ioctl(slave, UInt(TIOCSWINSZ), &size) == 0 else { throw Surprise("the terminal has no size") }
  }

  /// Waits for output.
  /// - Returns: nil at the end, after the program has closed the terminal.
  func read() -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(person.fileDescriptor, &buffer, buffer.count)
      if count < 0 && errno == EINTR { continue }
      // The system reports an error once the program has closed the terminal.
      return count > 0 ? Array(buffer[..<count]) : nil
    }
  }
}

/// A program that runs on a terminal of its own.
struct TerminalRun {
  /// Output as the terminal gets it, and the exit code.
  var output: String
  var code: Int32

  /// Runs the program to its end on a pseudo-terminal.
  /// - Parameters:
  ///   - columns: width of the terminal.
  ///   - environment: further variables.
  init(_ arguments: [String], columns: Int, environment: [String: String] = [:], in folder: String) throws {
    try self.init(Program.path, arguments, columns: columns, environment: environment, in: folder)
  }

  /// Runs a shell command, in which `"$0"` is the program.
  init(shell line: String, columns: Int, in folder: String) throws {
    try self.init("/bin/sh", ["-c", line, Program.path], columns: columns, environment: [:], in: folder)
  }

  private init(
    _ path: String, _ arguments: [String], columns: Int, environment: [String: String], in folder: String
  ) throws {
    let terminal = try PseudoTerminal(columns: columns)
    let variables = ["TERM": "xterm", "LC_ALL": "C.UTF-8"].merging(environment) { $1 }
    let program = try Running(path, arguments, environment: variables, in: folder, terminal: terminal.program)
    try terminal.program.close()
    var bytes = [UInt8]()
    while let more = terminal.read() { bytes += more }
    code = try program.end().code
    output = String(decoding: bytes, as: UTF8.self)
  }
}

/// Emulation of a terminal, as far as lines of progress need it: `\r`, `\n`, ESC [ K and ESC [ J. It has as many rows as are
/// needed.
struct Screen {
  let columns: Int
  private(set) var rows: [[Unicode.Scalar]] = [[]]
  private var (x, y) = (0, 0)
  private var escape = ""

  init(columns: Int) { self.columns = columns }

  /// Writes a character, and wraps as terminals do.
  mutating func write(_ scalar: Unicode.Scalar) throws {
    if !escape.isEmpty {
      escape.unicodeScalars.append(scalar)
      if escape == "\u{1B}[" { return }
      guard escape == "\u{1B}[K" || escape == "\u{1B}[J" else {
        throw Surprise("an unexpected control sequence \(escape.debugDescription)")
      }
      rows[y] = Array(rows[y].prefix(x))
      if escape == "\u{1B}[J" { rows.removeLast(rows.count - 1 - y) }
      escape = ""
      return
    }
    switch scalar {
    case "\u{1B}": escape = "\u{1B}"
    case "\r": x = 0
    case "\n":
      y += 1
      if y == rows.count { rows.append([]) }
    default:
      if x == columns {
        (x, y) = (0, y + 1)
        if y == rows.count { rows.append([]) }
      }
      while rows[y].count <= x { rows[y].append(" ") }
      rows[y][x] = scalar
      x += 1
    }
  }

  /// Text of the rows, without blanks at their ends.
  var text: [String] {
    rows.map { row in
      var text = ""
      text.unicodeScalars.append(contentsOf: row)
      while text.last == " " { text.removeLast() }
      return text
    }
  }
}
