import CPUBackend
import Compute
import Datasets
import Images
import Models
import Support
import Testing
import Training

/// More images than any memory holds, of which no pixel is needed.
private struct Endless: ImageSource {
  let name = "endless"
  let classes = ["0", "1"]
  let normalization = Normalization.none(channels: 3)
  var shape: Shape { [1 << 24, 224, 224, 3] }
  var items: [ImageItem] { [] }

  func loader() -> any ImageLoader { preconditionFailure("[Endless] has no pixels") }
  func prefix(_ count: Int) -> Endless { self }
}

/// Tests what is told when a driver refuses memory that a plan had counted on.
@Suite struct RefusedMemoryTests {
  private let splits = ImageSplits(train: Endless(), validation: Endless())
  private let device = CPUBackend()

  private func run(batch: Int) -> RunConfiguration {
    var run = RunConfiguration(model: ModelConfiguration(name: "resnet8", classes: 2, channels: 3), dataset: "endless")
    run.batchSize = batch
    return run
  }

  @Test func theLargestBatchIsTold() throws {
    let run = run(batch: 50_000)
    let refusal = Failure(.outOfMemory, about: "device", "the driver refuses 1 GB")
    let told = try #require(run.completed(refusal, splits, on: device) as? Failure)
    #expect(told.kind == .outOfMemory && told.subject == "device")
    #expect(told.description.contains("the driver refuses 1 GB; training needs "), "\(told)")
    #expect(told.description.contains(", the largest that fits"), "\(told)")
    let batch = try #require(told.suggestions[.batchSize]?.flatMap { Int($0) })
    #expect(batch > 0 && batch < 50_000)
    // What the plan itself refuses is told once.
    let again = try #require(run.completed(told, splits, on: device) as? Failure)
    let planned = #expect(throws: Failure.self) { try run.requireMemory(splits.train, splits.validation, on: device) }
    let plan = try #require(planned)
    #expect(run.completed(plan, splits, on: device) as? Failure == plan && again.kind == .outOfMemory)
  }

  @Test func otherErrorsStayAsTheyAre() {
    let small = Failure(.outOfMemory, "the driver refuses 1 GB")
    #expect(run(batch: 2).completed(small, splits, on: device) as? Failure == small, "by the plan, this batch fits")
    let other = Failure(.inputOutput, "no space")
    #expect(run(batch: 50_000).completed(other, splits, on: device) as? Failure == other)
  }
}
