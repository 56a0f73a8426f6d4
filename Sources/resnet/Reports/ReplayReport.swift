import Foundation
import Support
import Training

/// What a step in which a number was not finite looks like when it is computed again.
struct ReplayReport {
  /// Number of the largest deviations that are shown.
  private static let shown = 5

  private let record: FaultRecord
  private let file: String
  private let verdict: FaultVerdict
  private let trace: StepTrace
  /// Name of the device and its option; nil if the reference was alone.
  private let device: (name: String, option: String)?
  /// First result that is further from the reference than rounding explains.
  private let deviation: StepTrace.Deviation?

  /// A step that was computed on the reference alone.
  init(_ record: FaultRecord, file: String, reference trace: StepTrace) {
    (self.record, self.file, self.trace, device, deviation) = (record, file, trace, nil, nil)
    verdict = FaultVerdict(record, reference: trace)
  }

  /// A step that was computed on a device and on the reference.
  /// - Parameter allowed: distance from the reference, relative to the largest number, that rounding explains.
  init(
    _ record: FaultRecord, file: String, compared trace: StepTrace, on device: (name: String, option: String), allowed: Double
  ) {
    (self.record, self.file, self.trace, self.device) = (record, file, trace, device)
    verdict = FaultVerdict(record, compared: trace, record.configuration.precision)
    deviation = trace.firstDeviation(beyond: allowed)
  }

  private var referenceLoss: Double { (trace.referenceLoss ?? trace.loss) / Double(record.imageCount) }
  private var referenceFirst: FaultFinding? { device == nil ? trace.first : trace.firstOnReference }
  private var largest: [StepTrace.Deviation] {
    Array(trace.deviations.filter { $0.distance > 0 }.sorted { $0.distance > $1.distance }.prefix(Self.shown))
  }

  // MARK: Text

  /// The report in lines.
  var text: String {
    let run = record.configuration
    var lines = [
      "step \(grouped(record.step)), in epoch \(grouped(record.epoch)), of \(run.model.name) on \(run.data.name): "
        + "\(grouped(record.imageCount)) images, learning rate \(Float(record.learningRate)); the run was on \(record.device)",
      "CPU reference: \(line(loss: referenceLoss, referenceFirst))",
    ]
    if let device {
      lines.append("\(device.name): \(line(loss: trace.loss / Double(record.imageCount), trace.first))")
      if !largest.isEmpty { lines.append("largest distances from the reference, relative to its largest number:") }
      lines += largest.map { "  \(scientific($0.distance))  \($0.name)\($0.isBackward ? ", on the way back" : "")" }
    } else if let found = record.finding {
      lines.append("the run's device: \(found.text)")
    }
    return (lines + ["", "to blame: \(blame)", advice]).map(printable).joined(separator: "\n")
  }

  private func line(loss: Double, _ first: FaultFinding?) -> String {
    (loss.isFinite ? "loss \(lossText(loss)); " : "the loss is not a number; ")
      + (first.map { "first number that is not finite: \($0.text)" } ?? "all numbers are finite")
  }

  private var blame: String {
    switch verdict {
    case .input(let found): "the mathematics: \(found.name) was not finite before the step"
    case .mathematics(let found): "the mathematics: the reference finds it too, in \(found.name)"
    case .range(let found): "the range of float16: the numbers of \(found.name) are too large for it"
    case .device(let found): "the device or its driver: \(found.name) is finite on the reference\(earlier(than: found))"
    case .suspectedDevice(let found):
      "the device or its driver, as all numbers are finite on the reference"
        + (found.map { "; the run had found \($0.name)" } ?? "")
    case .notRepeated: "nobody now: neither the device nor the reference computes a number that is not finite"
    }
  }

  private func earlier(than found: FaultFinding) -> String {
    guard let deviation, deviation.name != found.name else { return "" }
    return "; \(deviation.name), before it, is \(scientific(deviation.distance)) from the reference already"
  }

  private var advice: String {
    let device = device?.option ?? "opencl"
    switch verdict {
    case .input(let found) where found.tensor.hasPrefix("the images"): return "Mend the images, or leave them out."
    case .input:
      return
        "The step before made it so, or the weights that the run began with. Try a lower --learning-rate. If the run is fine "
        + "with --device cpu, the device is to blame."
    case .mathematics: return "Try a lower --learning-rate, more --warmup-epochs or --clip-norm."
    case .range: return "Train with --precision bf16 or fp32."
    case .device:
      return
        "Attach this report with --json and that of `resnet verify --device \(device) --json` to a bug report. Another driver, "
        + "--tune off or another device may help."
    case .suspectedDevice: return "Run it on the device, too: resnet replay \(shellQuoted(file)) --device \(device)"
    case .notRepeated:
      return "The memory or the driver errs at times: `resnet verify --device \(device)` may tell more. Go on with --resume."
    }
  }

  private func scientific(_ value: Double) -> String {
    value == 0 ? "0" : String(format: "%.1e", value)
  }

  // MARK: JSON

  /// The report as JSON.
  var json: JSON {
    .members([
      "step": .integer(record.step), "epoch": .integer(record.epoch), "images": .integer(record.imageCount),
      "learning_rate": .number(record.learningRate), "run_device": .string(record.device),
      "device": device.map { .string($0.name) } ?? .null, "verdict": .string(verdict.word),
      "finding": verdict.finding.map(describe) ?? .null, "reference_loss": .number(referenceLoss),
      "loss": device == nil ? .null : .number(trace.loss / Double(record.imageCount)),
      "first_on_reference": referenceFirst.map(describe) ?? .null,
      "first_on_device": device == nil ? .null : trace.first.map(describe) ?? .null,
      "first_wrong": deviation.map(describe) ?? .null, "largest_distances": .array(largest.map(describe)),
    ])
  }

  private func describe(_ found: FaultFinding) -> JSON {
    .members([
      "layer": found.layer.map(JSON.string) ?? .null, "operation": found.operation.map(JSON.string) ?? .null,
      "tensor": .string(found.tensor), "backward": .boolean(found.isBackward), "count": .integer(found.count),
      "total": .integer(found.total), "first": .array(found.first.map(JSON.integer)), "value": .string(found.value),
    ])
  }

  private func describe(_ deviation: StepTrace.Deviation) -> JSON {
    .members(["name": .string(deviation.name), "distance": .number(deviation.distance)])
  }
}
