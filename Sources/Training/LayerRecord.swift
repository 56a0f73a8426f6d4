import Formats
import NN
import Support

/// Norms of a network's parameters at the end of an epoch: a line of `layers.jsonl`.
///
/// ```swift
/// for record in try RunFolder(existing: "runs/flowers").layers() {
///   print(record.epoch, record.parameters.first?.gradient ?? 0)
/// }
/// ```
public struct LayerRecord: Hashable, Sendable {
  /// Norms of one trained parameter.
  public struct Parameter: Hashable, Sendable {
    /// Name in torchvision, for example `layer1.0.conv1.weight`.
    public var name: String
    /// Euclidean norm of the gradient of the epoch's last step: the mean over its images, without the loss scale and before it
    /// was clipped. NaN if it was not finite.
    public var gradient: Double
    /// Euclidean norm of the values after this step.
    public var weight: Double
  }

  /// Epoch, counted from 1.
  public var epoch: Int
  /// Number of steps done since the run began.
  public var step: Int
  /// Trained parameters in the order of the network's tensors. Frozen ones are left out.
  public var parameters: [Parameter]
}

extension LayerRecord {
  /// JSON object of the record, with the keys that scripts rely on.
  var json: JSON {
    .object([
      .init("kind", .string("layers")), .init("epoch", .integer(epoch)), .init("step", .integer(step)),
      .init("gradient_norms", .object(parameters.map { .init($0.name, .number($0.gradient)) })),
      .init("weight_norms", .object(parameters.map { .init($0.name, .number($0.weight)) })),
    ])
  }

  /// Reads a line of `layers.jsonl`; nil for one that was cut off.
  init?(line: Substring) {
    guard let json = try? JSON(parsing: String(line)), case .integer(let epoch)? = json["epoch"],
      case .integer(let step)? = json["step"], case .object(let gradients)? = json["gradient_norms"],
      case .object(let weights)? = json["weight_norms"], gradients.map(\.key) == weights.map(\.key)
    else { return nil }
    (self.epoch, self.step) = (epoch, step)
    parameters = zip(gradients, weights).map { Parameter(name: $0.key, gradient: $0.value.double, weight: $1.value.double) }
  }
}

extension JSON {
  /// The number; NaN for anything else.
  fileprivate var double: Double {
    switch self {
    case .integer(let value): Double(value)
    case .number(let value): value
    default: .nan
    }
  }
}

extension RunFolder {
  /// Path of the norms of the network's parameters, one ``LayerRecord`` an epoch as JSON.
  public var layersPath: String { "\(path)/layers.jsonl" }

  /// Reads the norms of the run's parameters. A line that was cut off when a run was killed does not count.
  /// - Throws: ``Failure`` if the file cannot be read. Runs from before it was kept have none.
  public func layers() throws -> [LayerRecord] {
    guard InputFile.exists(layersPath) else { return [] }
    return String(decoding: try InputFile(layersPath).read(), as: UTF8.self).split(separator: "\n").compactMap(LayerRecord.init)
  }
}

/// Log file `layers.jsonl`, which is kept as ``MetricsLog`` is.
final class LayersLog {
  let log: MetricsLog
  /// Step of the last record of this process.
  private var lastStep = -1

  /// Opens the log and keeps the lines up to the run's position.
  init(path: String, keepingThrough position: RunFolder.Position) throws {
    log = try MetricsLog(path: path, keepingThrough: position)
  }

  /// Writes the norms at the end of an epoch, unless they are written already or there was no step to take them from. A run that
  /// was stopped while it validated has written them before.
  /// - Throws: errors of the backend.
  func record(_ optimizer: Optimizer, _ store: ParameterStore, epoch: Int, step: Int) throws {
    guard step != lastStep, let gradients = try optimizer.gradientNorms() else { return }
    lastStep = step
    let weights = try store.norms(of: store.weightsArena).filter { !$0.parameter.isFrozen }
    let parameters = zip(gradients, weights).map { gradient, weight in
      LayerRecord.Parameter(name: gradient.parameter.name, gradient: gradient.norm, weight: weight.norm)
    }
    log.write(LayerRecord(epoch: epoch, step: step, parameters: parameters).json)
  }
}
