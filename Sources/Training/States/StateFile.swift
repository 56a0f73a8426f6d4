import Support

/// File with a state of a run, from which it can go on.
struct StateFile: Hashable, Sendable {
  let path: String
  /// Number of steps done; nil for `resume.safetensors`, the only state of runs that an earlier version began.
  let step: Int?
}

extension RunFolder {
  private static let (begin, end) = ("state-", ".safetensors")
  /// Minimum number of digits in the name of a state, so that names sort by steps.
  private static let digits = 8

  /// Path of the newest state: the one with the most steps. If there is none, path of the first one.
  public var statePath: String { states.first?.path ?? path(ofStep: 0) }

  /// Whether there is a state to go on from.
  public var holdsState: Bool { !states.isEmpty }

  /// The states of the run, the newest first. The one of an earlier version counts as the oldest. Empty for a folder that cannot be
  /// read.
  var states: [StateFile] {
    let names = (try? Folder.entries(path)) ?? []
    let numbered = names.compactMap { name in Self.step(ofName: name).map { StateFile(path: "\(path)/\(name)", step: $0) } }
    let earlier = names.contains(Self.earlierName) ? [StateFile(path: "\(path)/\(Self.earlierName)", step: nil)] : []
    return numbered.sorted { ($0.step ?? 0) > ($1.step ?? 0) } + earlier
  }

  /// Name of the state of runs that an earlier version began.
  private static let earlierName = "resume.safetensors"

  /// Path of the state of a step.
  func path(ofStep step: Int) -> String { "\(path)/\(Self.name(ofStep: step))" }

  /// Returns the name of the state of a step.
  static func name(ofStep step: Int) -> String {
    let text = String(step)
    return begin + String(repeating: "0", count: max(0, digits - text.count)) + text + end
  }

  /// Returns the step of the state with a name; nil for another file.
  private static func step(ofName name: String) -> Int? {
    guard name.hasPrefix(begin), name.hasSuffix(end) else { return nil }
    guard let step = Int(name.dropFirst(begin.count).dropLast(end.count)), step >= 0, Self.name(ofStep: step) == name else {
      return nil
    }
    return step
  }
}
