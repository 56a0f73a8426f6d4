import Foundation
import Support
import SwiftProtobuf

/// Event file of a run, which TensorBoard shows.
///
/// The file is a sequence of TFRecords, each with one message `Event`:
///
///     UInt64 count | UInt32 masked CRC-32C of the count | count bytes | UInt32 masked CRC-32C of the bytes
///
/// All numbers are little-endian. A record is handed to the operating system at once, so TensorBoard can read along.
public final class EventFile {
  /// Path of the file.
  public let path: String
  private let file: AppendingFile

  /// Creates an event file in a folder. TensorBoard reads all event files of a folder as one run.
  /// - Parameters:
  ///   - host: name of the machine, for the file's name.
  ///   - step: step that a resumed run begins after, so that later events of earlier files no longer count; nil for a new run.
  /// - Throws: ``Failure`` if the file cannot be written.
  public init(in folder: String, host: String, resumingAfter step: Int? = nil) throws {
    let time = Int(Date().timeIntervalSince1970)
    let name = "\(folder)/events.out.tfevents.\(time).\(host.replacing("/", with: "-")).\(getpid())"
    let candidates = (0...).lazy.map { "\(name).\($0)" }
    path = candidates.first { !InputFile.exists($0) } ?? name
    try AtomicFile.write([], to: path)
    file = try AppendingFile(path)
    try write(step: 0) { $0.fileVersion = "brain.Event:2" }
    if let step { try write(step: step + 1) { $0.sessionLog = .with { $0.status = .start } } }
  }

  // MARK: Values

  /// Writes figures of a step.
  /// - Throws: ``Failure`` if the file cannot be written.
  public func write(_ figures: KeyValuePairs<String, Double>, step: Int) throws {
    try add(figures.map { tag, figure in .with { ($0.tag, $0.simpleValue) = (tag, Float(figure)) } }, step: step)
  }

  /// Writes distributions of values at a step.
  /// - Throws: ``Failure`` if the file cannot be written.
  public func write(_ histograms: [(tag: String, histogram: Histogram)], step: Int) throws {
    try add(histograms.map { tag, histogram in .with { ($0.tag, $0.histo) = (tag, histogram.message) } }, step: step)
  }

  /// Writes a picture of three channels.
  /// - Parameter png: the encoded picture.
  /// - Throws: ``Failure`` if the file cannot be written.
  public func write(png: [UInt8], height: Int, width: Int, tag: String, step: Int) throws {
    let image = Tensorboard_Summary.Image.with {
      ($0.height, $0.width, $0.colorspace, $0.encodedImageString) = (Int32(height), Int32(width), 3, Data(png))
    }
    try add([.with { ($0.tag, $0.image) = (tag, image) }], step: step)
  }

  /// Writes a text in Markdown.
  /// - Throws: ``Failure`` if the file cannot be written.
  public func write(text: String, tag: String, step: Int) throws {
    let tensor = Tensorboard_TensorProto.with {
      $0.dtype = 7
      $0.tensorShape.dim = [.with { $0.size = 1 }]
      $0.stringVal = [Data(text.utf8)]
    }
    let value = Tensorboard_Summary.Value.with {
      ($0.tag, $0.tensor) = (tag, tensor)
      $0.metadata.pluginData.pluginName = "text"
    }
    try add([value], step: step)
  }

  // MARK: Settings of the run

  /// A setting of the run, for TensorBoard's table of runs.
  public enum Setting: Hashable, Sendable {
    case text(String)
    case number(Double)
    case truth(Bool)

    fileprivate var value: Google_Protobuf_Value {
      switch self {
      case .text(let text): .init(stringValue: text)
      case .number(let number): .init(numberValue: number)
      case .truth(let truth): .init(boolValue: truth)
      }
    }

    fileprivate var type: Tensorboard_DataType {
      switch self {
      case .text: .string
      case .number: .float64
      case .truth: .bool
      }
    }
  }

  /// Writes the settings of a run that begins.
  /// - Parameter metrics: tags of the figures that the table compares.
  /// - Throws: ``Failure`` if the file cannot be written.
  public func begin(_ settings: [String: Setting], comparing metrics: [String]) throws {
    let names = settings.keys.sorted()
    let experiment = Tensorboard_Experiment.with {
      $0.hparamInfos = names.map { name in .with { ($0.name, $0.type) = (name, settings[name]?.type ?? .unset) } }
      $0.metricInfos = metrics.map { tag in .with { $0.name.tag = tag } }
    }
    let start = Tensorboard_SessionStartInfo.with {
      $0.hparams = settings.mapValues(\.value)
      $0.startTimeSecs = Date().timeIntervalSince1970
    }
    try write(hyperparameters: "experiment") { $0.experiment = experiment }
    try write(hyperparameters: "session_start_info") { $0.sessionStartInfo = start }
  }

  /// Writes that the run has ended.
  /// - Throws: ``Failure`` if the file cannot be written.
  public func end(succeeding: Bool) throws {
    try write(hyperparameters: "session_end_info") {
      $0.sessionEndInfo = .with {
        ($0.status, $0.endTimeSecs) = (succeeding ? .success : .failure, Date().timeIntervalSince1970)
      }
    }
  }

  private func write(hyperparameters name: String, _ fill: (inout Tensorboard_HParamsPluginData) -> Void) throws {
    let content = Data(try bytes(of: Tensorboard_HParamsPluginData.with(fill)))
    let value = Tensorboard_Summary.Value.with {
      $0.tag = "_hparams_/\(name)"
      $0.metadata.pluginData = .with { ($0.pluginName, $0.content) = ("hparams", content) }
    }
    try add([value], step: 0)
  }

  // MARK: Records

  private func add(_ values: [Tensorboard_Summary.Value], step: Int) throws {
    if values.isEmpty { return }
    try write(step: step) { $0.summary.value = values }
  }

  private func write(step: Int, _ fill: (inout Tensorboard_Event) -> Void) throws {
    var event = Tensorboard_Event.with { ($0.wallTime, $0.step) = (Date().timeIntervalSince1970, Int64(step)) }
    fill(&event)
    try file.write(Self.record(bytes(of: event)))
  }

  private func bytes(of message: some SwiftProtobuf.Message) throws -> [UInt8] {
    do { return try message.serializedBytes() } catch {
      throw Failure(.unsupported, about: path, "an event cannot be encoded: \(error)")
    }
  }

  /// Returns a TFRecord.
  package static func record(_ content: [UInt8]) -> [UInt8] {
    func bytes(_ number: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: number.littleEndian, Array.init) }
    // TensorFlow masks check values, so that a check value of data that contains one stays useful.
    func check(_ bytes: [UInt8]) -> UInt32 {
      let value = CRC32C.of(bytes)
      return (value >> 15 | value << 17) &+ 0xA282_EAD8
    }
    let count = bytes(UInt64(content.count))
    return count + bytes(check(count)) + content + bytes(check(content))
  }
}
