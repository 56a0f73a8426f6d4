import Support

/// What may be another when a run goes on.
package struct Resumption: Sendable {
  /// Number of epochs of the whole run; nil for that of its settings.
  package var epochs: Int?
  /// Whether settings count that were changed in `config.json` since the state was saved.
  package var takesChangedSettings = false

  package init(epochs: Int? = nil, takesChangedSettings: Bool = false) {
    (self.epochs, self.takesChangedSettings) = (epochs, takesChangedSettings)
  }
}

extension RunFolder {
  /// Reads the settings of a run that goes on, and compares them with those of its newest state. Settings that were lost are those of
  /// the state.
  /// - Returns: the settings, and notices for the user.
  /// - Throws: ``Failure`` if there is no run, if its settings were changed by hand, or if they cannot be those of the run.
  package func configuration(for resumption: Resumption) throws -> (configuration: RunConfiguration, notices: [Message]) {
    let facts = holdsState ? try newestFacts() : nil
    var notices: [Message] = []
    var run: RunConfiguration
    if !InputFile.exists(configurationPath), let saved = facts?.configuration {
      run = saved
      notices.append("\(configurationPath) is not there: the settings are those of the state \(statePath)")
    } else {
      run = try configuration()
    }
    if var saved = facts?.configuration, !resumption.takesChangedSettings {
      if resumption.epochs != nil { saved.epochs = run.epochs }
      try requireUnchanged(run, since: saved)
    }
    guard let epochs = resumption.epochs else { return (run, notices) }
    let begun = (facts?.position.epoch ?? 0) + ((facts?.position.images ?? 0) > 0 ? 1 : 0)
    try demand(epochs >= begun, .epochs, epochs, "the run is in epoch \(begun) already")
    run.epochs = epochs
    try run.validate()
    return (run, notices)
  }

  /// Settings that the program itself changes when a run goes on, or that change no result. The one of faults changes no step
  /// without a fault.
  private static let free = ["data.path", "data.contents", "shares", "files", "onFault"]

  /// Checks that settings were not changed by hand.
  /// - Throws: ``Failure`` that names the differences.
  private func requireUnchanged(_ run: RunConfiguration, since saved: RunConfiguration) throws {
    // More epochs are a longer run, which may have been stopped before its first state was saved.
    let free = Self.free + (run.epochs > saved.epochs ? ["epochs"] : [])
    func values(_ run: RunConfiguration) throws -> [(name: String, value: JSON)] {
      try JSON(parsing: try run.json()).leaves.map { ($0.path.joined(separator: "."), $0.value) }
        .filter { setting in !free.contains { setting.name == $0 || setting.name.hasPrefix("\($0).") } }
    }
    let (now, before) = (try values(run), try values(saved))
    func value(of name: String, in values: [(name: String, value: JSON)]) -> String {
      values.first { $0.name == name }?.value.description ?? "none"
    }
    var names: [String] = []
    for name in (before + now).map(\.name) where !names.contains(name) { names.append(name) }
    let changed = names.filter { value(of: $0, in: now) != value(of: $0, in: before) }
    if changed.isEmpty { return }
    let shown = changed.prefix(5).map { "\($0) is \(value(of: $0, in: now)) and was \(value(of: $0, in: before))" }
    throw Failure(
      .mismatch, about: configurationPath,
      "it was changed since the state was saved: \(shown.joined(separator: ", "))\(changed.count > 5 ? ", …" : "")",
      remedy: "restore it, or go on with the changes by \(Setting.allowConfigChange)")
  }
}
