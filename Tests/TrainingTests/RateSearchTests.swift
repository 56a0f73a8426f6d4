import CPUBackend
import Datasets
import Glibc
import Images
import Models
import Support
import Testing
import Training

@Suite struct RateSearchTests {
  private static func configuration(_ change: (inout RunConfiguration) -> Void = { _ in }) -> RunConfiguration {
    var run = RunConfiguration(model: ModelConfiguration(name: "resnet8", classes: 3), dataset: "synthetic")
    (run.batchSize, run.seed) = (8, 3)
    change(&run)
    return run
  }

  /// Runs a search whose loss is a function of the rate's decimal logarithm.
  private func search(_ loss: (_ logarithm: Double, _ step: Int) -> Double) throws -> RateSearch {
    var search = try RateSearch(for: Self.configuration())
    for (step, rate) in search.rates.enumerated() {
      if !search.add(rate: rate, loss: loss(log10(rate), step)) { break }
    }
    return search
  }

  /// Noise of a fixed seed, uniform on −0.5 ..< 0.5.
  private static let noise: [Double] = {
    var random = Philox(seed: 7, stream: 0)
    return (0..<200).map { _ in Double(random.uniform()) - 0.5 }
  }()

  @Test func ratesRiseExponentially() throws {
    let rates = try RateSearch(for: Self.configuration()).rates
    #expect(rates.count == 100 && rates[0] == 1e-7 && abs(rates[99] - 10) < 1e-9)
    for (a, b) in zip(rates, rates.dropFirst()) { #expect(abs(b / a - pow(1e8, 1 / 99.0)) < 1e-9) }
    let lars = try RateSearch(for: Self.configuration { ($0.optimizer, $0.maxSteps) = (.lars(), 20) }).rates
    #expect(lars.count == 20 && lars[0] == 1e-5 && abs(lars[19] - 1000) < 1e-6)
    #expect(throws: Failure.self) { try RateSearch(for: Self.configuration { $0.maxSteps = 19 }) }
  }

  @Test func theAverageHasNoBias() throws {
    var search = try RateSearch(for: Self.configuration())
    for loss in [3.0, 1, 2] {
      let goesOn = search.add(rate: 1, loss: loss)
      #expect(goesOn)
    }
    let smoothed = search.points.map(\.smoothed)
    #expect(abs(smoothed[0] - 3) < 1e-12 && abs(smoothed[1] - (0.9 * 3 + 1) / 1.9) < 1e-12)
    #expect(abs(smoothed[2] - (0.81 * 3 + 0.9 * 1 + 2) / 2.71) < 1e-12)
  }

  /// A loss that falls from 2.3 to 0.3, fastest at 10⁻², and grows above a rate of 1.
  @Test(arguments: [0, 0.1]) func theSteepestRateIsFound(noise: Double) throws {
    let search = try search { logarithm, step in
      0.3 + 2 / (1 + exp(4 * (logarithm + 2))) + exp(6 * logarithm) + noise * Self.noise[step]
    }
    let found = try #require(search.suggestion)
    #expect(abs(log10(found.steepest) + 2) < 0.25, "\(found)")
    #expect(found.lowest > found.steepest && found.lowest < 3)
    #expect(search.points.count < search.rates.count, "the growing loss ends the search")
  }

  @Test func aLossThatDoesNotFallSuggestsNothing() throws {
    #expect(try search { _, _ in 2.3 }.suggestion == nil)
    #expect(try search { _, step in 2.3 + 0.5 * Self.noise[step] }.suggestion == nil)
    #expect(try search { logarithm, _ in 2.3 + exp(6 * logarithm) }.suggestion == nil)
    // The loss falls, but by less than it varies.
    #expect(try search { logarithm, step in 2.3 - (logarithm > -3 ? 0.05 : 0) + 2 * Self.noise[step] }.suggestion == nil)
  }

  @Test func aSearchEndsWhereTheLossGrows() throws {
    // The average passes four times its lowest value some steps after the loss does.
    let grown = try search { _, step in step < 50 ? 1 : 100 }
    #expect(grown.points.count == 51)
    let undefined = try search { _, step in step < 50 ? 1 : .nan }
    #expect(undefined.points.count == 50 && undefined.points.allSatisfy { $0.loss == 1 })
    #expect(try search { _, _ in .infinity }.points.isEmpty)
  }

  /// Trains on the reference, through five epochs of four steps. Two searches see the same losses.
  @Test func trainingIsSearched() throws {
    func points() throws -> [RateSearch.Point] {
      let run = Self.configuration { $0.maxSteps = 20 }
      let images = ImageSplits(SyntheticImages(count: 32, validationCount: 8, classes: 3, size: 8).splits())
      let trainer = try Trainer(run, images, on: CPUBackend(), folder: nil)
      var search = try RateSearch(for: run)
      var reported: [RateSearch.Point] = []
      let isDone = try trainer.search(&search, report: { reported.append($0) })
      #expect(isDone)
      #expect(reported == search.points)
      return reported
    }
    let first = try points()
    #expect(first.count > 10 && first.allSatisfy { $0.loss > 0 && $0.loss.isFinite })
    #expect(try points() == first)
    // At the lowest rates, the weights are those of the start.
    #expect(abs(first[0].loss - first[1].loss) < 1)
  }

  @Test func aSearchCanBeStopped() throws {
    let run = Self.configuration()
    let images = ImageSplits(SyntheticImages(count: 32, validationCount: 8, classes: 3, size: 8).splits())
    let trainer = try Trainer(run, images, on: CPUBackend(), folder: nil)
    var (search, asked) = (try RateSearch(for: run), 0)
    let isDone = try trainer.search(
      &search,
      shouldStop: {
        asked += 1
        return asked == 3
      })
    #expect(!isDone && search.points.count <= 2)
  }
}
