import Formats
import OpenCLBackend
import Support

/// Times of the kernels in some training steps, and of the host meanwhile.
struct StepProfile {
  let profile: Profile
  let steps: Int
  /// Seconds of all steps: in which the host enqueued them (`host`), and from the start of the first to the end of the last
  /// (`wall`).
  let host, wall: Double

  private var millisecondsAStep: Double { 1e3 / Double(steps) }
  private var idle: Double { max(0, wall - profile.busy) }

  /// Table of the kernels, longest first, and a line about host and device.
  var text: String {
    var table = Table(["kernel", "a step", "ms a step", "share", "GB/s"])
    for kernel in profile.kernels {
      table.add([
        kernel.kernel, launches(kernel), fixed(kernel.seconds * millisecondsAStep, 3), percent(kernel.seconds, of: profile.busy),
        fixed(Double(kernel.bytes) / kernel.seconds / 1e9, 1),
      ])
    }
    return table.text
      + "\n\na step takes \(fixed(wall * millisecondsAStep, 1)) ms (mean of \(steps)): "
      + "kernels \(fixed(profile.busy * millisecondsAStep, 1)) ms, device idle \(fixed(idle * millisecondsAStep, 1)) ms "
      + "(\(percent(idle, of: wall))); the host enqueues it in \(fixed(host * millisecondsAStep, 2)) ms "
      + "(\(percent(host, of: wall)))"
  }

  var json: JSON {
    .members([
      "steps": .integer(steps), "step_seconds": .number(wall / Double(steps)), "host_seconds": .number(host / Double(steps)),
      "idle_seconds": .number(idle / Double(steps)),
      "kernels": .array(
        profile.kernels.map {
          .members([
            "kernel": .string($0.kernel), "program": $0.program.map(JSON.string) ?? .null,
            "launches": .number(Double($0.launches) / Double(steps)),
            "seconds": .number($0.seconds / Double(steps)), "bytes": .number(Double($0.bytes) / Double(steps)),
          ])
        }),
    ])
  }

  /// Returns the number of launches a step, which is whole unless an epoch's short batches have kernels of their own.
  private func launches(_ kernel: KernelProfile) -> String {
    let count = Double(kernel.launches) / Double(steps)
    return fixed(count, count == count.rounded() ? 0 : 1)
  }

  private func percent(_ part: Double, of whole: Double) -> String { whole > 0 ? fixed(part / whole * 100, 1) + " %" : "" }
}
