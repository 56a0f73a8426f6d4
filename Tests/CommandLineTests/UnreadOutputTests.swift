import Foundation
import Glibc
import Testing
import resnet

/// Checks that a reader that stops reading holds up neither training nor a signal.
@Suite struct UnreadOutputTests {
  /// Makes a pipe of one page, which a few lines fill.
  private func smallPipe() throws -> Pipe {
    let pipe = Pipe()
    // F_SETPIPE_SZ of Linux, which Swift does not import.
    guard fcntl(pipe.fileHandleForWriting.fileDescriptor, 1031, 4096) >= 4096 else { throw Surprise("the pipe keeps its size") }
    return pipe
  }

  @Test func aFullPipeDoesNotStopTheRun() throws {
    let pipe = try smallPipe()
    // The pipe is full before the run begins.
    try pipe.fileHandleForWriting.write(contentsOf: Data(repeating: 10, count: 4096))
    let run = try InterruptedRun(output: pipe.fileHandleForWriting)
    let result = try run.program.end(limit: 300)
    #expect(result.code == 0 && !result.wasKilled && result.err.isEmpty, "\(result.err)")
    try run.expectWhole()
    try pipe.fileHandleForReading.close()
  }

  @Test func aFullPipeHoldsUpNoSignal() throws {
    let pipe = try smallPipe()
    try pipe.fileHandleForWriting.write(contentsOf: Data(repeating: 10, count: 4096))
    let run = try InterruptedRun(output: pipe.fileHandleForWriting)
    try run.wait(forStep: 3)
    run.program.send(SIGTERM)
    let result = try run.program.end(limit: 300)
    #expect(result.code == 143 && !result.wasKilled, "\(result.err)")
    #expect(result.complaint.hasPrefix("stopped at step "), "standard error has a reader: \(result.err)")
    try run.finish()
    try pipe.fileHandleForReading.close()
  }

  /// Checks a terminal that shows nothing more, as after Ctrl-S.
  @Test func aStoppedTerminalHoldsUpNoSignal() throws {
    let terminal = try PseudoTerminal(columns: 80)
    guard tcflow(terminal.program.fileDescriptor, TCOOFF) == 0 else { throw Surprise("the terminal cannot be stopped") }
    let run = try InterruptedRun(terminal: terminal.program)
    try run.wait(forStep: 150)
    run.program.send(SIGINT)
    let result = try run.program.end(limit: 300)
    #expect(result.code == 130 && !result.wasKilled)
    guard tcflow(terminal.program.fileDescriptor, TCOON) == 0 else { throw Surprise("the terminal cannot go on") }
    try run.finish()
  }

  @Test func progressIsLeftOutAndCounted() throws {
    let pipe = try smallPipe()
    let writer = OutputWriter(pipe.fileHandleForWriting.fileDescriptor)
    writer.detach()
    writer.neverWait()
    let line = String(repeating: "x", count: 99) + "\n"
    var (kept, leftOut) = (0, 0)
    for _ in 0..<2000 { if writer.put(line, .progress) { kept += 1 } else { leftOut += 1 } }
    #expect(kept * 100 >= OutputWriter.capacity && leftOut > 1000, "\(kept) lines kept")
    #expect(!writer.put("picture", .picture), "a picture does not wait")
    #expect(writer.put("result\n", .result))
    // Nobody reads, so the time limit ends the waiting.
    writer.finish(within: 0.01)
    let reader = pipe.fileHandleForReading
    var text = ""
    while !text.contains("result") { text += String(decoding: reader.availableData, as: UTF8.self) }
    let lines = text.split(separator: "\n").filter { !$0.hasPrefix("x") }
    #expect(lines == ["… \(leftOut) lines left out, as nobody read the output", "result"])
    #expect(text.split(separator: "\n").count { $0.hasPrefix("x") } == kept && writer.failure == 0)
  }

  /// Checks that the end of a program whose output is its result waits for the reader.
  @Test func theEndWaitsForTheReader() throws {
    let pipe = try smallPipe()
    let writer = OutputWriter(pipe.fileHandleForWriting.fileDescriptor)
    writer.detach()
    writer.put(String(repeating: "z", count: 10_000), .result)
    let ended = DispatchSemaphore(value: 0)
    Thread.detachNewThread {
      writer.finish(within: 0.001)
      ended.signal()
    }
    #expect(ended.wait(timeout: .now() + 0.05) == .timedOut, "nothing waited")
    var bytes = 0
    while bytes < 10_000 { bytes += pipe.fileHandleForReading.availableData.count }
    #expect(ended.wait(timeout: .now() + 60) == .success)
  }

  /// Checks that results wait for a slow reader where nothing is urgent, so that none is lost, and no longer after a signal.
  @Test func resultsWaitForTheReader() throws {
    let pipe = try smallPipe()
    let writer = OutputWriter(pipe.fileHandleForWriting.fileDescriptor)
    writer.detach()
    let line = String(repeating: "y", count: 999) + "\n"
    let count = 3 * OutputWriter.capacity / line.utf8.count
    let ended = DispatchSemaphore(value: 0)
    Thread.detachNewThread {
      for _ in 0..<count { writer.put(line, .result) }
      ended.signal()
    }
    #expect(ended.wait(timeout: .now() + 0.05) == .timedOut, "nothing waited")
    var bytes = 0
    while bytes < count * line.utf8.count / 2 { bytes += pipe.fileHandleForReading.availableData.count }
    // As a signal does it.
    writer.hurry()
    #expect(ended.wait(timeout: .now() + 60) == .success)
    while bytes < count * line.utf8.count { bytes += pipe.fileHandleForReading.availableData.count }
    #expect(bytes == count * line.utf8.count)
  }
}
