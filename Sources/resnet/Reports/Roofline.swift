import Compute
import DryRun
import Formats
import Models
import OpenCLBackend
import Support

/// Distinct operation of a model, with its measurements on a device.
struct OperationFigures {
  let record: OperationRecord
  /// Number of calls in one training step, and in inference of one batch.
  let training, inference: Int
  /// Seconds of each run.
  let times: [Double]
  /// Number of bytes that the operation's kernels read and wrote, nil if the device does not tell; and the kernels in the order
  /// of their time.
  let moved: Int?
  let kernels: [String]

  var seconds: Double { times.median }
  /// Floating-point operations; a multiply-add counts as two.
  var flops: Double { 2 * Double(record.macs) }

  /// Returns the time at the peaks over the time that the operation took.
  func share(_ peaks: (flops: Double, bytes: Double)) -> Double {
    max(flops / peaks.flops, Double(record.bytes) / peaks.bytes) / seconds
  }
}

/// Returns the distinct operations of a training step and of inference, and how often each occurs.
func distinctOperations(_ summary: Summary) -> [(record: OperationRecord, training: Int, inference: Int)] {
  var operations: [(record: OperationRecord, training: Int, inference: Int)] = []
  var places: [String: Int] = [:]
  func count(_ records: [OperationRecord], training: Int, inference: Int) {
    for record in records {
      let place = places[record.name] ?? operations.endIndex
      if place == operations.endIndex {
        places[record.name] = place
        operations.append((record, 0, 0))
      }
      operations[place].training += training
      operations[place].inference += inference
    }
  }
  count(summary.step, training: 1, inference: 0)
  count(summary.inferenceOperations, training: 0, inference: 1)
  return operations
}

/// Measures an operation in `repeats` runs, after one run that does not count.
///
/// On an OpenCL device that can profile, the time is the device's own, from the start of the first kernel to the end of the last.
/// Otherwise it is the host's.
func measure(
  _ operation: (record: OperationRecord, training: Int, inference: Int), on backend: any Backend, repeats: Int
) throws -> OperationFigures {
  // Without this, a reused buffer might be a little larger than its content.
  (backend as? OpenCLBackend)?.releaseFreeMemory()
  let run = try operation.record.prepare(on: backend)
  try run()
  try backend.finish()
  var (times, moved, kernels) = ([Double](), Int?.none, [String]())
  for _ in 0..<repeats {
    if let backend = backend as? OpenCLBackend, backend.canProfile {
      backend.startProfile()
      try run()
      let profile = try backend.endProfile()
      times.append(profile.span)
      // Operands that are added to are also read, which the kernels' arguments do not tell.
      moved = profile.bytes + operation.record.updatedBytes
      kernels = profile.kernels.map(\.kernel)
    } else {
      let start = ContinuousClock.now
      try run()
      try backend.finish()
      times.append((ContinuousClock.now - start).seconds)
    }
  }
  return OperationFigures(
    record: operation.record, training: operation.training, inference: operation.inference, times: times, moved: moved,
    kernels: kernels)
}
