import Compute
import Foundation
import Images
import Support
import Synchronization
import TestSupport
import Testing

@Suite struct PipelineTests {
  static let names = Fixtures.pictures.filter { !$0.hasPrefix("one-pixel") }
  static let transform = TrainingTransform(RandomResizedCrop(size: 12), seed: 9, epoch: 4)

  static func picture(_ sample: Int) -> String { Fixtures.path(names[sample % names.count]) }

  static func batches(_ count: Int, of size: Int, _ path: (Int) -> String = picture) -> [[ImageItem]] {
    (0..<count).map { batch in
      (batch * size..<(batch + 1) * size).map { ImageItem(path: path($0), label: Int32($0 % 7), sample: $0) }
    }
  }

  @Test(arguments: [1, 2, 5], [1, 3]) func orderAndValues(_ threads: Int, ahead: Int) throws {
    let batches = Self.batches(9, of: 8) + [Array(Self.batches(1, of: 3)[0])]
    let pipeline = try ImagePipeline(batches: batches, transform: Self.transform, threads: threads, ahead: ahead)
    for expected in batches {
      let matches = try pipeline.next { batch in
        let pixels = try expected.flatMap {
          try Self.transform.apply(try EncodedImage(contentsOf: $0.path), sample: $0.sample).pixels
        }
        return batch.items == expected && batch.failures.isEmpty && Array(batch.pixels) == pixels
      }
      #expect(matches == true)
    }
    #expect(try pipeline.next { _ in } == nil)
    let counters = pipeline.counters
    #expect(counters.images == 75 && counters.failures == 0 && counters.loading > 0 && counters.waited > 0)
  }

  /// Makes batches of four in which the items 2, 5, 6 and 11 are damaged or missing.
  private func withDamage(_ body: ([[ImageItem]], _ folder: String) throws -> Void) throws {
    try withTemporaryFolder { folder in
      try write(Array(try Fixtures.bytes("444.jpg").dropLast(40)), to: folder + "/cut.jpg")
      try write(Array("nonsense".utf8), to: folder + "/text.png")
      let damaged = [2: "cut.jpg", 5: "text.png", 6: "missing.jpg", 11: "cut.jpg"]
      try body(Self.batches(4, of: 4) { damaged[$0].map { "\(folder)/\($0)" } ?? Fixtures.path("rgb.png") }, folder)
    }
  }

  @Test(arguments: [1, 2, 5]) func damagedImagesAreSkipped(_ threads: Int) throws {
    try withDamage { batches, folder in
      let pipeline = try ImagePipeline(batches: batches, transform: Self.transform, damaged: .skip, threads: threads)
      var (samples, failures) = ([[Int]](), [String]())
      let image = try EncodedImage(contentsOf: Fixtures.path("rgb.png"))
      while let batch = try pipeline.next({ ($0.items, $0.failures, Array($0.pixels)) }) {
        samples.append(batch.0.map(\.sample))
        failures += batch.1.map(\.description)
        #expect(batch.2 == (try batch.0.flatMap { try Self.transform.apply(image, sample: $0.sample).pixels }))
      }
      #expect(samples == [[0, 1, 3], [4, 7], [8, 9, 10], [12, 13, 14, 15]])
      let starts = ["\(folder)/cut.jpg: ", "\(folder)/text.png: ", "cannot open \(folder)/missing.jpg", "\(folder)/cut.jpg: "]
      #expect(failures.count == 4 && zip(failures, starts).allSatisfy { $0.hasPrefix($1) }, "\(failures)")
      #expect(pipeline.counters.images == 12 && pipeline.counters.failures == 4)
    }
  }

  @Test(arguments: [1, 2, 5]) func theFirstDamagedImageEndsTheWork(_ threads: Int) throws {
    try withDamage { batches, folder in
      // The first batch is left out, so that the next one has several damaged images, one of which comes first.
      let pipeline = try ImagePipeline(
        batches: Array(batches.dropFirst()), transform: Self.transform, damaged: .fail, threads: threads)
      #expect(failureMessage { _ = try pipeline.next { _ in } }.hasPrefix("\(folder)/text.png: "))
      #expect(try pipeline.next { _ in } == nil)
    }
  }

  /// A transform that counts its calls, and waits until its gate opens.
  private struct Gated: ImageTransform {
    final class Gate: Sendable {
      let isOpen = Atomic(false)
      let begun = Atomic(0)
    }
    let gate = Gate()
    let height = 4
    let width = 4

    func apply(_ image: EncodedImage, sample: Int, into pixels: UnsafeMutableBufferPointer<UInt8>) throws {
      gate.begun.add(1, ordering: .relaxed)
      while !gate.isOpen.load(ordering: .acquiring) { usleep(500) }
      pixels.update(repeating: UInt8(truncatingIfNeeded: sample))
    }
  }

  @Test(arguments: [1, 2, 5]) func cancellation(_ threads: Int) throws {
    let gated = Gated()
    let pipeline = try ImagePipeline(batches: Self.batches(50, of: 4), transform: gated, threads: threads)
    while gated.gate.begun.load(ordering: .relaxed) < min(threads, 5) { usleep(500) }
    // Another thread cancels while this thread waits.
    Thread.detachNewThread {
      usleep(10_000)
      pipeline.cancel()
    }
    #expect(try pipeline.next { _ in } == nil)
    gated.gate.isOpen.store(true, ordering: .releasing)
    #expect(try pipeline.next { _ in } == nil)
  }

  /// Checks that threads stop when the buffers are full: two batches of four, until one is used.
  @Test func memoryIsBounded() throws {
    let gated = Gated()
    gated.gate.isOpen.store(true, ordering: .releasing)
    let pipeline = try ImagePipeline(batches: Self.batches(10, of: 4), transform: gated, threads: 3, ahead: 2)
    while gated.gate.begun.load(ordering: .relaxed) < 8 { usleep(500) }
    usleep(30_000)
    #expect(gated.gate.begun.load(ordering: .relaxed) == 8)
    #expect(try pipeline.next { Array($0.pixels.prefix(48)) } == [UInt8](repeating: 0, count: 48))
    while gated.gate.begun.load(ordering: .relaxed) < 12 { usleep(500) }
    usleep(30_000)
    #expect(gated.gate.begun.load(ordering: .relaxed) == 12)
  }

  /// Checks that a pipeline that nobody reads to its end stops when its owner releases it.
  @Test func abandoned() throws {
    for _ in 0..<20 { _ = try ImagePipeline(batches: Self.batches(20, of: 4), transform: Self.transform, threads: 3) }
  }

  @Test func moreThanTheMachineHolds() throws {
    let failure = #expect(throws: Failure.self) {
      let transform = TrainingTransform(RandomResizedCrop(size: 1 << 14), seed: 0, epoch: 0)
      _ = try ImagePipeline(batches: Self.batches(1, of: 1 << 20), transform: transform)
    }
    #expect(failure?.description.contains("use a smaller batchSize or imageSize") == true)
  }

  @Test func nothingToDo() throws {
    let pipeline = try ImagePipeline(batches: [], transform: Self.transform)
    #expect(try pipeline.next { _ in } == nil)
  }
}
