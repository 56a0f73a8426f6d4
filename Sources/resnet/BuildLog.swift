import Compute
import OpenCLBackend
import Support

/// Report of kernels that are built one after the other, and of the time that each takes.
final class BuildLog {
  private var current: (kernel: String, since: Double)?
  private var count = 0

  init() {}

  /// Reports the kernels that a device builds from now on. Those that were not built ahead are built in the first step.
  convenience init(watching backend: any Backend) {
    self.init()
    (backend as? OpenCLBackend)?.watchBuilds { self.begin("\($0)", of: nil) }
  }

  /// Reports that the first step is done.
  func endWatching(_ backend: any Backend) {
    finish()
    (backend as? OpenCLBackend)?.watchBuilds(nil)
  }

  /// Reports that a kernel is being built, and so that the one before is done.
  /// - Parameter total: number of kernels; nil if it is not known.
  func begin(_ kernel: String, of total: Int?) {
    if count == 0 { Display.shared.begin(.compiling, of: total) }
    finish()
    current = (kernel, Display.shared.now)
    count += 1
    Display.shared.advance(to: count)
  }

  /// Reports that the last kernel is done.
  func finish() {
    if let current { Log.debug("built \(current.kernel) in \(fixed(Display.shared.now - current.since, 2)) s") }
    current = nil
  }
}
