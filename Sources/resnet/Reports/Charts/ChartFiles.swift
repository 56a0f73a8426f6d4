import Foundation
import Support

/// Files of charts: an SVG, and a PNG of it for places that show no SVG.
package enum ChartFiles {
  /// Program that draws SVG pictures, and Debian's package of it.
  static let (converter, package) = ("rsvg-convert", "librsvg2-bin")
  /// Pixels of the PNG for a pixel of the SVG.
  private static let zoom = 2

  /// Writes a figure as `name.svg`, and as `name.png` if the converter is installed.
  /// - Parameter name: path of the files without the end of their names.
  /// - Returns: paths of the files that were written, and the reason why there is no PNG.
  /// - Throws: ``Failure`` if a file cannot be written.
  package static func write(
    _ figure: ChartFigure, to name: String, searching path: String = ProcessInfo.processInfo.environment["PATH"] ?? ""
  ) throws -> (files: [String], note: String?) {
    let (svg, png) = ("\(name).svg", "\(name).png")
    try AtomicFile.write(figure.svg(), to: svg)
    guard let program = program(in: path) else {
      return ([svg], "there is no \(png), as that needs the program \(converter), which Debian has as \(package)")
    }
    switch try Self.png(of: figure, by: program) {
    case .success(let bytes):
      try AtomicFile.write(bytes, to: png)
      return ([svg, png], nil)
    case .failure(let failure): return ([svg], "there is no \(png): \(failure.line)")
    }
  }

  /// Finds the converter in the folders of a search path; nil if it is in none.
  private static func program(in path: String) -> String? {
    path.split(separator: ":").map { "\($0)/\(converter)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
  }

  /// Draws a figure in light colors.
  /// - Returns: the bytes of the PNG, or what the converter complained about.
  /// - Throws: ``Failure`` if there is no room for temporary files.
  private static func png(of figure: ChartFigure, by program: String) throws -> Result<[UInt8], Failure> {
    let (input, output, errors) = (try temporaryFile(), try temporaryFile(), try temporaryFile())
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = ["--format=png", "--zoom=\(zoom)"]
    (process.standardInput, process.standardOutput, process.standardError) = (input, output, errors)
    func contents(_ file: FileHandle) throws -> Data {
      try file.seek(toOffset: 0)
      return try file.readToEnd() ?? Data()
    }
    do {
      try input.write(contentsOf: Data(figure.svg(.light).utf8))
      try input.seek(toOffset: 0)
      try process.run()
      process.waitUntilExit()
      let bytes = try contents(output)
      if process.terminationStatus == 0, !bytes.isEmpty { return .success([UInt8](bytes)) }
      let words = String(decoding: try contents(errors), as: UTF8.self).split(separator: "\n").last.map { ": \($0)" } ?? ""
      return .failure(Failure(.inputOutput, "\(program) failed\(words)"))
    } catch { return .failure(Failure(.inputOutput, "\(program) cannot be run: \(error)")) }
  }

  /// Opens a file without a name, which is gone when it is closed.
  private static func temporaryFile() throws -> FileHandle {
    guard let file = tmpfile() else { throw Failure(.inputOutput, "cannot make a temporary file") }
    defer { fclose(file) }
    return FileHandle(fileDescriptor: dup(fileno(file)), closeOnDealloc: true)
  }
}
