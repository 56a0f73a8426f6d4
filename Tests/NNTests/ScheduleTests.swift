import NN
import Testing

@Suite struct ScheduleTests {
  @Test func warmUpRisesLinearlyToThePeak() {
    for kind in Schedule.Kind.allCases where kind != .oneCycle {
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

  /// Compares with the learning rates of PyTorch 2.13's `OneCycleLR(optimizer, max_lr=0.4, total_steps=steps)`, before each step.
  @Test(arguments: [
    (1, [1.6e-06]), (2, [0.3246982615799052, 1.6e-06]), (3, [0.39776617418036475, 0.18505484106679002, 1.6e-06]),
    (
      10,
      [
        0.016000000000000014, 0.20800000000000002, 0.4, 0.38019385280538953, 0.3246982615799052, 0.24450480877451572,
        0.1554967912254843, 0.0753033384200948, 0.019807747194610516, 1.6e-06,
      ]
    ),
    (
      11,
      [
        0.016000000000000014, 0.16893644549389433, 0.384104569889047, 0.39189862712852064, 0.35379028990745215,
        0.29043481971901136, 0.21223308323503992, 0.13202321159491795, 0.06297300511980315, 0.016418217282516346, 1.6e-06,
      ]
    ),
  ])
  func oneCycleIsPyTorchs(steps: Int, expected: [Double]) {
    let schedule = Schedule(.oneCycle, peak: 0.4, totalSteps: steps)
    for (step, rate) in expected.enumerated() { #expect(abs(schedule.rate(at: step) - rate) < 1e-15, "step \(step)") }
    #expect(schedule.rate(at: steps) == schedule.rate(at: steps - 1), "the rate stays after the end")
  }

  @Test func oneCycleOfAHundredSteps() {
    let schedule = Schedule(.oneCycle, peak: 0.4, totalSteps: 100)
    let expected = [
      1: 0.017125512226362993, 14: 0.19760532955159985, 28: 0.39887448777363704, 29: 0.4, 30: 0.39979861411380974,
      64: 0.2000008, 65: 0.19102786982176137, 98: 0.0002029858861903152, 99: 1.6e-06,
    ]
    for (step, rate) in expected { #expect(abs(schedule.rate(at: step) - rate) < 1e-15, "step \(step)") }
  }

  @Test func degenerateRunsHaveARate() {
    #expect(Schedule(.cosine, peak: 1, totalSteps: 3, warmupSteps: 3).rate(at: 3) == 0)
    #expect(Schedule(.cosine, peak: 1, totalSteps: 0).rate(at: 0) == 0)
    #expect(Schedule(.cosine, peak: 1, totalSteps: 1).rate(at: 0) == 1)
    #expect(Schedule(.oneCycle, peak: 1, totalSteps: 0).rate(at: 0) == 1)
    #expect(Schedule(.constant, peak: 1, totalSteps: 2, warmupSteps: 5).rate(at: 1) == 0.4)
  }
}
