import Foundation
import Support
import TensorBoard
import TestSupport
import Testing

@Suite struct EventFileTests {
  /// The check values are those of RFC 3720, appendix B.4.
  @Test func checkValuesAreThoseOfTheStandard() {
    #expect(CRC32C.of([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
    #expect(CRC32C.of([UInt8](repeating: 255, count: 32)) == 0x62A8_AB43)
    #expect(CRC32C.of(0..<32) == 0x46DD_794E)
    #expect(CRC32C.of(Array("123456789".utf8)) == 0xE306_9283)
    #expect(CRC32C.of([]) == 0)
  }

  /// The bytes of an event `brain.Event:2` at a time of 1.0, as TensorBoard's own writer stores them.
  @Test func recordsHaveTheFormatOfTheirReader() {
    let event: [UInt8] = [9, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F, 26, 13] + Array("brain.Event:2".utf8)
    let record = EventFile.record(event)
    #expect(record.count == 8 + 4 + 24 + 4)
    #expect(Array(record[0..<8]) == [24, 0, 0, 0, 0, 0, 0, 0])
    #expect(Array(record[8..<12]) == [163, 127, 75, 34])
    #expect(Array(record[12..<36]) == event)
    #expect(Array(record[36...]) == [134, 191, 87, 122])
  }

  @Test func everyKindOfEventIsWritten() throws {
    let folder = try TemporaryFolder()
    let file = try EventFile(in: folder.path, host: "a/b", resumingAfter: 7)
    try file.begin(["rate": .number(0.1), "nesterov": .truth(true), "model": .text("resnet8")], comparing: ["loss/epoch"])
    try file.write(["loss/step": 0.5, "loss/epoch": 0.25], step: 8)
    try file.write([(tag: "weights/fc", histogram: Histogram([1, 2, 3]))], step: 8)
    try file.write(png: [1, 2, 3], height: 4, width: 5, tag: "sheet", step: 8)
    try file.write(text: "**text**", tag: "note", step: 8)
    try file.end(succeeding: true)
    #expect(file.path.contains("/events.out.tfevents.") && file.path.contains("a-b"))

    let events = try events(in: file.path)
    #expect(events.count == 9)
    #expect(events[0].fileVersion == "brain.Event:2")
    #expect(events[1].sessionLog.status == .start && events[1].step == 8)
    let experiment = try settings(events[2]).experiment
    #expect(experiment.hparamInfos.map(\.name) == ["model", "nesterov", "rate"])
    #expect(experiment.hparamInfos.map(\.type) == [.string, .bool, .float64])
    #expect(experiment.metricInfos.map(\.name.tag) == ["loss/epoch"])
    let start = try settings(events[3]).sessionStartInfo
    #expect(start.hparams["rate"]?.numberValue == 0.1 && start.hparams["model"]?.stringValue == "resnet8")
    #expect(start.hparams["nesterov"]?.boolValue == true)
    #expect(events[4].step == 8 && events[4].summary.value.map(\.tag) == ["loss/step", "loss/epoch"])
    #expect(events[4].summary.value.map(\.simpleValue) == [0.5, 0.25])
    #expect(events[5].summary.value[0].histo.num == 3)
    let image = events[6].summary.value[0].image
    #expect((image.height, image.width, image.colorspace) == (4, 5, 3) && image.encodedImageString == Data([1, 2, 3]))
    #expect(events[7].summary.value[0].tensor.stringVal == [Data("**text**".utf8)])
    #expect(try settings(events[8]).sessionEndInfo.status == .success)
  }

  @Test func filesOfOneProcessHaveTheirOwnNames() throws {
    let folder = try TemporaryFolder()
    let paths = try (0..<3).map { _ in try EventFile(in: folder.path, host: "host").path }
    #expect(Set(paths).count == 3)
  }

  @Test func folderThatIsMissingIsToldOf() throws {
    let folder = try TemporaryFolder()
    #expect(throws: Failure.self) { try EventFile(in: "\(folder.path)/none", host: "host") }
  }

  private func settings(_ event: Tensorboard_Event) throws -> Tensorboard_HParamsPluginData {
    let plugin = event.summary.value[0].metadata.pluginData
    #expect(plugin.pluginName == "hparams")
    return try Tensorboard_HParamsPluginData(serializedBytes: plugin.content)
  }

  /// Reads the events of a file and checks its records.
  private func events(in path: String) throws -> [Tensorboard_Event] {
    var (bytes, events) = (try InputFile(path).read()[...], [Tensorboard_Event]())
    while !bytes.isEmpty {
      let count = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
      let content = Array(bytes.dropFirst(12).prefix(count))
      #expect(Array(bytes.prefix(count + 16)) == EventFile.record(content))
      events.append(try Tensorboard_Event(serializedBytes: content))
      bytes = bytes.dropFirst(count + 16)
    }
    return events
  }
}

@Suite struct HistogramTests {
  @Test func valuesAreCountedInRangesOfEqualWidth() {
    let histogram = Histogram([0, 0.5, 0.5, 63.5, 64])
    #expect((histogram.minimum, histogram.maximum) == (0, 64))
    #expect((histogram.count, histogram.sum, histogram.sumOfSquares) == (5, 128.5, 0.5 + 63.5 * 63.5 + 64 * 64))
    #expect(histogram.limits == (1...64).map(Double.init))
    #expect(histogram.counts == [3] + [Double](repeating: 0, count: 62) + [2])
  }

  @Test func equalValuesAndNoneHaveOneRange() {
    let equal = Histogram([Float](repeating: 1, count: 7))
    #expect((equal.limits, equal.counts, equal.sum) == ([1], [7], 7))
    #expect(Histogram([Float]()).counts == [0])
  }

  @Test func valuesThatAreNotFiniteAreLeftOut() {
    let histogram = Histogram([.nan, -1, .infinity, 1, -.infinity])
    #expect((histogram.count, histogram.minimum, histogram.maximum) == (2, -1, 1))
    #expect(histogram.counts.reduce(0, +) == 2)
  }
}
