import Compute
import Foundation
import Support
import Training

/// A run with what its files tell.
struct ReadRun {
  let folder: RunFolder
  let configuration: RunConfiguration
  let figures: RunFigures
  let sessions: [RunSession]

  init(_ folder: RunFolder) throws {
    self.folder = folder
    configuration = try folder.configuration()
    (figures, sessions) = (try folder.figures(watching: configuration.watch ?? .accuracy), try folder.sessions())
  }

  /// Time of the start; of a run from before it was kept, the time when its settings were written.
  var started: Date {
    sessions.first?.started
      ?? (try? FileManager.default.attributesOfItem(atPath: folder.configurationPath)[.modificationDate] as? Date) ?? .distantPast
  }

  /// Time of the start for people, in the machine's time zone.
  var when: String {
    let formatter = DateFormatter()
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.dateFormat = "yyyy-MM-dd HH:mm"
    return formatter.string(from: started)
  }

  /// The best validation accuracy, for example `91.53 %`.
  var best: String { figures.best.map { fixed($0.validationAccuracy * 100, 2) + " %" } ?? "" }

  /// Numbers of the images of the classes that the run trained on, the smallest and the largest: `13–600`; one number if all are
  /// equal, and nil if they are not known.
  var imagesPerClass: String? {
    guard let counts = configuration.data.contents?.classCounts?.values, let least = counts.min(), let most = counts.max() else {
      return nil
    }
    return least == most ? grouped(least) : "\(grouped(least))–\(grouped(most))"
  }

  /// Seconds of all sessions; nil if they are not known.
  var elapsed: Double? {
    let known = sessions.compactMap(\.elapsedSeconds)
    return known.isEmpty ? nil : known.reduce(0, +)
  }

  var json: JSON {
    let session = sessions.last
    return .members([
      "run": .string(folder.path), "model": .string(configuration.model.name), "dataset": .string(configuration.data.name),
      "data": configuration.data.path.map(JSON.string) ?? .null, "epochs": .integer(configuration.epochs),
      "epochs_done": .integer(figures.epochs),
      "class_counts": configuration.data.contents?.classCounts.map(Self.describe) ?? .null,
      "best_accuracy": figures.best.map { .number($0.validationAccuracy) } ?? .null,
      "best_epoch": figures.best.map { .integer($0.epoch) } ?? .null,
      "started": .string(ISO8601DateFormatter().string(from: started)), "elapsed_seconds": elapsed.map(JSON.number) ?? .null,
      "version": session.map { .string($0.version) } ?? .null, "device": session.map { .string($0.device) } ?? .null,
      "driver": session?.driver.map(JSON.string) ?? .null, "host": session.map { .string($0.host) } ?? .null,
      "command": session.map { .array($0.command.map(JSON.string)) } ?? .null,
    ])
  }

  /// Figures that the run reached, its place and its speed.
  var results: [(name: String, value: JSON)] {
    let (best, last, session) = (figures.best, figures.last, sessions.last)
    let all: [(String, JSON?)] = [
      ("epochs done", .integer(figures.epochs)), ("best accuracy", best.map { .number($0.validationAccuracy) }),
      ("best epoch", best.map { .integer($0.epoch) }),
      ("validation loss", last.flatMap { $0.validationLoss.isFinite ? .number($0.validationLoss) : nil }),
      ("training loss", last.map { .number($0.loss) }), ("elapsed seconds", elapsed.map(JSON.number)),
      ("device", session.map { .string($0.device) }), ("driver", session?.driver.map(JSON.string)),
      ("host", session.map { .string($0.host) }), ("resnet", session.map { .string($0.version) }),
    ]
    return all.compactMap { name, value in value.map { (name, $0) } }
  }

  private static func describe(_ counts: [String: Int]) -> JSON {
    .object(counts.sorted { Name($0.key) < Name($1.key) }.map { JSON.Member($0.key, .integer($0.value)) })
  }

  /// Maximum number of classes whose images are compared one by one.
  private static let comparedClasses = 20

  /// The settings of the run, by the options that choose them, and its numbers of images.
  var settings: [(name: String, value: JSON)] {
    get throws {
      var configuration = configuration
      let counts = configuration.data.contents?.classCounts ?? [:]
      configuration.data.contents?.classCounts = nil
      let images =
        counts.count <= Self.comparedClasses
        ? counts.sorted { Name($0.key) < Name($1.key) }.map { ("images of \($0.key)", JSON.integer($0.value)) }
        : [("images per class", JSON.string(imagesPerClass ?? ""))]
      return try JSON(parsing: try configuration.json()).leaves.map { (Self.option(of: $0.path), $0.value) } + images
    }
  }

  /// Settings that are not called as the last of their keys: their options, or words for those without an option.
  private static let options = [
    "model.name": "model", "data.name": "dataset", "data.path": "data", "optimizer.kind": "optimizer", "averageDecay": "ema",
    "initialWeights": "init", "frozen": "freeze", "learningRateScales": "learning-rate-scale", "model.stridePlacement": "stride",
    "model.zeroInitLastBatchNorm": "zero-init", "model.normalization": "norm", "augmentation.crop": "augment",
    "data.validationShare.share": "validation-share", "data.validationShare.seed": "validation-share by seed",
    "data.contents.train.count": "training images", "data.contents.validation.count": "validation images",
    "data.contents.train.checksum": "checksum of the training images",
    "data.contents.validation.checksum": "checksum of the validation images",
    "data.contents.train.pixels": "pixels of the training images",
    "data.contents.validation.pixels": "pixels of the validation images",
    "data.contents.train.labels": "labels of the training images",
    "data.contents.validation.labels": "labels of the validation images",
    "data.contents.train.sizes": "file sizes of the training images",
    "data.contents.validation.sizes": "file sizes of the validation images",
    "data.contents.train.times": "file times of the training images",
    "data.contents.validation.times": "file times of the validation images",
  ]

  /// Returns the option of a setting, without dashes; for one without an option, its keys.
  private static func option(of path: [String]) -> String {
    let key = path.joined(separator: ".")
    if let known = options[key] { return known }
    let name = optionName(ofProperty: path.last ?? "")
    return HelpDump.root.command(named: ["train"]).argument(name) == nil ? key : String(name.dropFirst(2))
  }

  /// Returns the settings, then the figures, that are not the same in all runs.
  static func differences(_ runs: [ReadRun]) throws -> [(name: String, values: [JSON?])] {
    let described = try runs.map { try $0.settings + $0.results }
    var names: [String] = []
    for name in described.flatMap({ $0.map(\.name) }) where !names.contains(name) { names.append(name) }
    return names.map { name in (name, described.map { run in run.first { $0.name == name }?.value }) }
      .filter { row in row.values.contains { $0 != row.values[0] } }
  }

  /// Text of a setting's or a figure's value.
  static func text(_ value: JSON) -> String {
    switch value {
    case .string(let text): printable(text)
    case .number(let number): String(format: "%.6g", number)
    default: value.description
    }
  }
}
