import OpenCL
import Support

/// Totals of one specialized kernel during a profile.
public struct KernelProfile: Hashable, Sendable {
  /// Function and its constants, for example `convolution VW=16 TC=2`; or a command of the driver or of CLBlast.
  public let kernel: String
  /// File and all its constants, for example `convolution.cl -DVW=16 -DTC=2 -DSTATISTICS=0`; nil for a command.
  public let program: String?
  public internal(set) var launches = 0
  /// Seconds that the device spent on this kernel.
  public internal(set) var seconds = 0.0
  /// Bytes that the kernel read and wrote, if it passed over each buffer once. A buffer that is both read and written through one
  /// argument counts once. The effect of caches is not known.
  public internal(set) var bytes = 0
}

/// Profile of a device between ``OpenCLBackend/startProfile()`` and ``OpenCLBackend/endProfile()``.
public struct Profile: Sendable {
  /// Kernels sorted by their time, longest first.
  public internal(set) var kernels: [KernelProfile] = []
  /// Seconds from the start of the first command to the end of the last.
  public internal(set) var span = 0.0

  /// Creates a profile without kernels and without time.
  public init() {}

  /// Seconds during which the device worked.
  public var busy: Double { kernels.reduce(0) { $0 + $1.seconds } }
  /// Bytes that the kernels read and wrote.
  public var bytes: Int { kernels.reduce(0) { $0 + $1.bytes } }

  /// Adds the totals of another profile.
  public mutating func merge(_ other: Profile) {
    for kernel in other.kernels {
      let index = kernels.firstIndex { $0.kernel == kernel.kernel } ?? kernels.endIndex
      if index == kernels.endIndex { kernels.append(KernelProfile(kernel: kernel.kernel, program: kernel.program)) }
      kernels[index].launches += kernel.launches
      kernels[index].seconds += kernel.seconds
      kernels[index].bytes += kernel.bytes
    }
    span += other.span
    sort()
  }

  mutating func sort() { kernels.sort { ($0.seconds, $0.kernel) > ($1.seconds, $1.kernel) } }
}

/// Adds up the times of kernels as their events complete, so that a long run needs no more memory than a short one.
final class Profiler {
  enum Work: Hashable {
    case kernel(KernelSpecialization)
    /// Command of the driver, or of CLBlast.
    case command(String)

    var summary: String {
      switch self {
      case .kernel(let specialization): specialization.summary
      case .command(let name): name
      }
    }

    var program: String? {
      switch self {
      case .kernel(let specialization): "\(specialization.file) \(specialization.options)"
      case .command: nil
      }
    }
  }

  private struct Pending {
    let work: Work
    let bytes: Int
    /// Event of the command before the first one, if the work consists of several commands.
    let before: Event?
    let event: Event
  }

  private var pending: [Pending] = []
  private var totals: [Work: KernelProfile] = [:]
  private var span: Range<UInt64>?

  /// Number of pending events at which complete ones are added up, and at which the oldest ones are waited for.
  private static let (some, most) = (512, 8192)

  /// Records a command that was enqueued after all others so far.
  func add(_ work: Work, bytes: Int, after before: Event? = nil, _ event: Event) throws {
    pending.append(Pending(work: work, bytes: bytes, before: before, event: event))
    if pending.count % Self.some == 0 { try collect(leaving: Self.most) }
  }

  /// Returns the totals so far. Precondition: all commands are finished.
  func result() throws -> Profile {
    try collect(leaving: 0)
    var profile = Profile()
    profile.kernels = Array(totals.values)
    profile.span = span.map { Double($0.upperBound - $0.lowerBound) * 1e-9 } ?? 0
    profile.sort()
    return profile
  }

  /// Adds up complete events in order, and waits only if more than `count` are pending.
  private func collect(leaving count: Int) throws {
    var done = 0
    while done < pending.count {
      let next = pending[done]
      if pending.count - done > count { try next.event.wait() }
      guard try next.event.isComplete else { break }
      try take(next)
      done += 1
    }
    pending.removeFirst(done)
  }

  private func take(_ next: Pending) throws {
    var interval = try next.event.interval
    if let before = try next.before?.interval.upperBound { interval = min(before, interval.upperBound)..<interval.upperBound }
    span = min(span?.lowerBound ?? .max, interval.lowerBound)..<max(span?.upperBound ?? 0, interval.upperBound)
    var total = totals[next.work] ?? KernelProfile(kernel: next.work.summary, program: next.work.program)
    total.launches += 1
    total.seconds += Double(interval.upperBound - interval.lowerBound) * 1e-9
    total.bytes += next.bytes
    totals[next.work] = total
  }
}
