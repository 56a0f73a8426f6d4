/// Reaction of a run to a step in which a number is not finite. In any case the weights stay as they were before the step.
public enum FaultPolicy: String, Codable, Sendable, CaseIterable {
  /// The run ends, and keeps the step in a file; see ``FaultRecord``.
  case stop
  /// The step is left out and the run goes on, unless ``mostSkipped`` steps in a row are at fault: then it ends as with ``stop``.
  case skip

  /// Number of steps at fault in a row that end a run in any case.
  public static let mostSkipped = 10

  /// Number of steps at fault in a row that end the run.
  var limit: Int { self == .stop ? 1 : Self.mostSkipped }
}
