import NN
import Testing

@Suite struct ScheduleTests {
  @Test func warmUpRisesLinearlyToThePeak() {
    for kind in Schedule.Kind.allCases {
      let schedule = Schedule(kind, peak: 0.4, totalSteps: 100, warmupSteps: 4)
      #expect((0..<5).map { schedule.rate(at: $0) } == [0.1, 0.2, 0.30000000000000004, 0.4, 0.4])
    }
  }

  @Test func constantStays() {
    let schedule = Schedule(.constant, peak: 0.1, totalSteps: 10)
    #expect((0...20).allSatisfy { schedule.rate(at: $0) == 0.1 })
  }

  @Test func cosineHalvesInTheMiddleAndEndsAtZero() {
    let schedule = Schedule(.cosine, peak: 1, totalSteps: 110, warmupSteps: 10)
    #expect(schedule.rate(at: 10) == 1)
    #expect(abs(schedule.rate(at: 60) - 0.5) < 1e-15)
    #expect(abs(schedule.rate(at: 35) - 0.5 * (1 + 0.5.squareRoot())) < 1e-15)
    #expect(schedule.rate(at: 109) > 0 && schedule.rate(at: 109) < 3e-4)
    #expect(schedule.rate(at: 110) == 0 && schedule.rate(at: 1000) == 0)
  }

  @Test func stepFallsAtHalfAndThreeQuarters() {
    let schedule = Schedule(.step, peak: 1, totalSteps: 64)
    #expect([0, 31, 32, 47, 48, 63].map { schedule.rate(at: $0) } == [1, 1, 0.1, 0.1, 0.01, 0.01])
    let odd = Schedule(.step, peak: 1, totalSteps: 5)
    #expect((0..<5).map { odd.rate(at: $0) } == [1, 1, 1, 0.1, 0.01])
  }

  @Test func degenerateRunsHaveARate() {
    #expect(Schedule(.cosine, peak: 1, totalSteps: 3, warmupSteps: 3).rate(at: 3) == 0)
    #expect(Schedule(.cosine, peak: 1, totalSteps: 0).rate(at: 0) == 0)
    #expect(Schedule(.cosine, peak: 1, totalSteps: 1).rate(at: 0) == 1)
    #expect(Schedule(.constant, peak: 1, totalSteps: 2, warmupSteps: 5).rate(at: 1) == 0.4)
  }
}
