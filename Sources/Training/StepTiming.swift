/// Times of a run's steps in seconds, except for the first step, in which kernels are built.
public struct StepTiming: Hashable, Sendable {
  /// Number of steps.
  public internal(set) var steps = 0
  /// Time in which the host enqueued steps.
  public internal(set) var host = 0.0
  /// Part of ``host`` in which the host waited for images to be decoded. A time near ``wall`` means that loading limits the run.
  public internal(set) var waited = 0.0
  /// Time from the start of the first step to the end of the last, without validation.
  public internal(set) var wall = 0.0
}
