import CPUBackend
import Compute
import OpenCLBackend
import Testing
import Tuning

@Suite struct TunerTests {
  private static let geometry = Conv2D(input: [3, 9, 9, 16], filter: [3, 3, 16, 16], padding: 1)
  private static let weights: [ConvolutionWork: Double] = [
    ConvolutionWork(.forward, geometry): 3, ConvolutionWork(.inputGradient, geometry, accumulates: true): 2,
    ConvolutionWork(.filterGradient, geometry): 1,
  ]
  private let backend: OpenCLBackend

  init() throws { backend = try OpenCLBackend(device: DeviceList.find("opencl").device) }

  /// The entries in the order of the reports.
  private func tune(
    budget: Double? = nil, candidates: [String],
    shouldStop: ([TuningTable.Entry]) -> Bool = { _ in false }
  ) throws -> [(work: ConvolutionWork, entry: TuningTable.Entry)] {
    var found: [(work: ConvolutionWork, entry: TuningTable.Entry)] = []
    let choices = candidates.compactMap(ConvolutionChoice.init)
    #expect(choices.count == candidates.count)
    let tuner = Tuner(backend, reference: CPUBackend()) { _ in choices }
    func note(_ work: ConvolutionWork, _ entry: TuningTable.Entry, left: Int) {
      found.append((work, entry))
      #expect(left == Self.weights.count - found.count)
    }
    try tuner.tune(Self.weights, budget: budget, shouldStop: { shouldStop(found.map(\.entry)) }, report: note)
    return found
  }

  @Test func heaviestWorkComesFirst() throws {
    let found = try tune(candidates: ["direct TC=1 TQ=3", "plain"])
    #expect(found.map { Self.weights[$0.work] } == [3, 2, 1])
    for (work, entry) in found {
      #expect(entry.isComplete && entry.seconds > 0 && entry.seconds <= entry.builtInSeconds, "\(work)")
      if entry.choice != nil { #expect(entry.seconds < entry.builtInSeconds * (1 - Tuner.margin)) }
    }
  }

  @Test func withoutCandidatesTheBuiltInChoiceStays() throws {
    let found = try tune(candidates: [])
    #expect(found.count == 3 && found.allSatisfy { $0.entry.choice == nil && $0.entry.isComplete })
  }

  @Test func stopsWhenAsked() throws {
    #expect(try tune(candidates: ["plain"], shouldStop: { _ in true }).isEmpty)
    #expect(try tune(candidates: ["plain"], shouldStop: { $0.count == 1 }).count == 1)
    #expect(try tune(budget: 0, candidates: ["plain"]).isEmpty)
  }

  @Test func whatWasCutShortSaysSo() throws {
    var asked = 0
    // Before the work, before its first candidate, before its second.
    let found = try tune(candidates: ["plain", "direct TC=1 TQ=3"]) { _ in
      asked += 1
      return asked > 2
    }
    #expect(found.count == 1 && found.first?.entry.isComplete == false)
  }

  @Test func choicesAreForgottenAfterwards() throws {
    let work = try #require(try tune(candidates: ["plain"]).first?.work)
    let candidates = backend.candidates(for: work)
    #expect(candidates.contains { $0.algorithm == .plain })
  }
}
