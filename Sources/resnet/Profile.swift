import OpenCLBackend

/// Runs a training step and prints what each kernel took on the device.
func printProfile(_ backend: OpenCLBackend, _ step: () throws -> Void) throws {
  try backend.finish()
  backend.startProfile()
  let start = ContinuousClock.now
  try step()
  let enqueued = (ContinuousClock.now - start).seconds
  let kernels = try backend.endProfile()
  let wall = (ContinuousClock.now - start).seconds
  let total = kernels.reduce(0) { $0 + $1.seconds }
  var table = Table(["kernel", "launches", "ms", "share"])
  for kernel in kernels {
    table.add([
      kernel.kernel, String(kernel.launches), fixed(kernel.seconds * 1e3, 3), fixed(kernel.seconds / total * 100, 1) + " %",
    ])
  }
  print("\n" + table.text)
  print(
    "\nkernels \(fixed(total * 1e3, 1)) ms of a step of \(fixed(wall * 1e3, 1)) ms; the host enqueued it in "
      + "\(fixed(enqueued * 1e3, 1)) ms")
}
