/// Where the time of a run's steps went, in seconds, but for the first step, in which kernels are built.
public struct StepTiming: Hashable, Sendable {
  /// How many there were.
  public internal(set) var steps = 0
  /// In which the host enqueued them.
  public internal(set) var host = 0.0
  /// Of these, in which it waited for images to be decoded: near ``wall``, loading is what limits the run.
  public internal(set) var waited = 0.0
  /// From the start of the first to the end of the last, without validation.
  public internal(set) var wall = 0.0
}
