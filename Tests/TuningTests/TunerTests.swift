import CPUBackend
import Compute
import Foundation
import OpenCLBackend
import Support
import TestSupport
import Testing
import Tuning

@Suite final class TunerTests {
  private static let geometry = Conv2D(input: [3, 9, 9, 16], filter: [3, 3, 16, 16], padding: 1)
  private static let weights: [ConvolutionWork: Double] = [
    ConvolutionWork(.forward, geometry): 3, ConvolutionWork(.inputGradient, geometry, accumulates: true): 2,
    ConvolutionWork(.filterGradient, geometry): 1,
  ]
  private let backend: OpenCLBackend
  private var folders: [TemporaryFolder] = []

  init() throws { backend = try OpenCLBackend(device: DeviceList.find("opencl").device) }

  /// Returns the entries in the order of the reports.
  private func tune(
    on backend: OpenCLBackend? = nil, budget: Double? = nil, candidates: [String],
    shouldStop: ([TuningTable.Entry]) -> Bool = { _ in false }
  ) throws -> [(work: ConvolutionWork, entry: TuningTable.Entry)] {
    var found: [(work: ConvolutionWork, entry: TuningTable.Entry)] = []
    let choices = candidates.compactMap(ConvolutionChoice.init)
    #expect(choices.count == candidates.count)
    let tuner = Tuner(backend ?? self.backend, reference: CPUBackend()) { _ in choices }
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
    // The closure is called before the work, before its first candidate, and before its second candidate.
    let found = try tune(candidates: ["plain", "direct TC=1 TQ=3"]) { _ in
      asked += 1
      return asked > 2
    }
    #expect(found.count == 1 && found.first?.entry.isComplete == false)
  }

  @Test func choicesAreForgottenAfterwards() throws {
    let work = try #require(try tune(candidates: ["plain"]).first?.work)
    let candidates = backend.candidates(for: work)
    #expect(candidates.contains { $0.algorithmName == "plain" })
  }

  // MARK: Wrong kernels

  /// Makes a backend with the package's kernels, except for one changed line of a file.
  private func backend(_ file: String, _ line: String, by other: String) throws -> OpenCLBackend {
    folders.append(try TemporaryFolder())
    let kernels = "\(folders[folders.count - 1].path)/kernels"
    try copyKernels(to: kernels, altering: file) { text in
      #expect(text.contains(line), "\(file) has no '\(line)'")
      return text.replacingOccurrences(of: line, with: other)
    }
    let device = try DeviceList.find("opencl").device
    return try OpenCLBackend(device: device, traits: DeviceTraits(device), kernels: kernels)
  }

  /// Makes the plain kernel compute nothing, so that it is the fastest candidate.
  @Test func wrongCandidateIsRefused() throws {
    let line = "  const int h0 = p * STRIDE - shape.padTop, w0 = q * STRIDE - shape.padLeft;\n"
    let hasty = try backend("convolution.cl", line, by: "if (H > 0) return;\n" + line)
    let found = try tune(on: hasty, candidates: ["plain"])
    #expect(found.count == 3)
    // Filter gradients have no plain kernel.
    for (work, entry) in found where work.pass != .filterGradient {
      #expect(entry.choice == nil && entry.isComplete, "\(work)")
    }
  }

  @Test func candidateThatDoesNotBuildIsRefused() throws {
    let line = "#include \"strip.h\"\n"
    let broken = try backend("convolution.cl", line, by: line + "#if defined(TQ) && TQ == 3\n#error\n#endif\n")
    let found = try tune(on: broken, candidates: ["direct TC=1 TQ=3"])
    #expect(found.count == 3 && found.allSatisfy { $0.work.pass == .filterGradient || $0.entry.choice == nil })
  }

  @Test func wrongBuiltInKernelIsAFailure() throws {
    let line = "  int terms = 0, isFolded = 0;\n"
    let wrong = try backend("convolution.cl", line, by: line + "sum[0][0][0] += 1.0f;\n")
    let failure = #expect(throws: Failure.self) { try tune(on: wrong, candidates: []) }
    #expect(failure?.description.contains("resnet verify") == true)
  }
}
