import Foundation
import Testing

/// Checks which signals stop or save a run, and what a second one does.
@Suite struct SignalTests {
  @Test(arguments: [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGXCPU, SIGUSR2]) func stopsAndSaves(signal: Int32) throws {
    let run = try InterruptedRun()
    try run.wait(forStep: 3)
    run.program.send(signal)
    let result = try run.program.end()
    #expect(!result.wasKilled && result.code == 128 + signal, "\(result.err)")
    #expect(result.complaint.hasPrefix("stopped at step ") && result.complaint.contains("--resume "), "\(result.err)")
    try run.finish()
  }

  /// Signals that come at once are one request: `timeout` signals the process and its group.
  @Test(arguments: [[SIGTERM, SIGTERM], [SIGINT, SIGINT, SIGTERM, SIGHUP]]) func severalAtOnceAreOne(signals: [Int32]) throws {
    let run = try InterruptedRun()
    try run.wait(forStep: 3)
    for signal in signals {
      run.program.send(signal)
      usleep(20)
    }
    let result = try run.program.end()
    // Signals that wait together come in the order of their numbers.
    #expect(!result.wasKilled && signals.contains(result.code - 128), "\(result.err)")
    #expect(result.complaint.hasPrefix("stopped at step "), "\(result.err)")
    try run.finish()
  }

  @Test func aSecondOneLaterLeavesAtOnce() throws {
    // The reference takes far longer than a second for such a step.
    let run = try InterruptedRun("train --device cpu --dataset synthetic --model resnet20 --batch-size 256 --epochs 1")
    // The first step begins at once after the file of sessions is made.
    try run.program.wait(for: "the run's session") { exists("\(run.folder)/sessions.json") }
    usleep(500_000)
    run.program.send(SIGTERM)
    usleep(1_200_000)
    #expect(run.program.isRunning, "the step was over before the second signal")
    run.program.send(SIGTERM)
    let result = try run.program.end()
    #expect(!result.wasKilled && result.code == 143 && result.err.isEmpty, "\(result.err)")
    #expect(!exists("\(run.folder)/last.safetensors"))
  }

  @Test func aRequestToSaveIsNoRequestToStop() throws {
    let run = try InterruptedRun()
    try run.wait(forStep: 3)
    run.program.send(SIGUSR1)
    let result = try run.program.end()
    #expect(result.code == 0 && result.err.isEmpty, "\(result.err)")
    let said = try #require(result.out.firstMatch(of: /saved at step ([0-9]+), as a signal asked for it; training goes on/))
    #expect(try #require(Int(said.1)) < 200, "it is saved in the middle of an epoch")
    try run.expectWhole()
  }

  @Test func whatWasSavedOnRequestSurvivesAKill() throws {
    let run = try InterruptedRun()
    try run.wait(forStep: 3)
    run.program.send(SIGUSR1)
    try run.program.wait(for: "the saved weights") { exists("\(run.folder)/last.safetensors") }
    run.program.send(SIGKILL)
    #expect(try run.program.end().wasKilled && !run.log.contains("\"step\":200,"))
    try run.finish()
  }

  @Test func hangUpsStayIgnored() throws {
    let run = try InterruptedRun(after: "trap '' HUP;")
    try run.wait(forStep: 3)
    run.program.send(SIGHUP)
    let result = try run.program.end()
    #expect(result.code == 0 && result.err.isEmpty, "\(result.err)")
    try run.expectWhole()
  }
}
