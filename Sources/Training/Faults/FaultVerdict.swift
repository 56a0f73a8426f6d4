import Compute

/// Cause of a number that is not finite: the mathematics of the step, or the device with its driver.
package enum FaultVerdict: Hashable, Sendable {
  /// A tensor was not finite before the step.
  case input(FaultFinding)
  /// The reference computes a number that is not finite, too.
  case mathematics(FaultFinding)
  /// The number is finite, but too large for activations in float16.
  case range(FaultFinding)
  /// The device computes a number that is not finite, where the reference computes finite ones.
  case device(FaultFinding)
  /// The reference computes finite numbers only. The device was not asked again; its run has found this.
  case suspectedDevice(FaultFinding?)
  /// Now neither computes a number that is not finite.
  case notRepeated

  /// Largest finite number of float16.
  private static let largestHalf: Float = 65504

  /// Judges a step that was computed on the reference alone.
  package init(_ record: FaultRecord, reference: StepTrace) {
    if let input = record.firstInput {
      self = .input(input)
    } else if let first = reference.first {
      self = .mathematics(first)
    } else {
      self = .suspectedDevice(record.finding)
    }
  }

  /// Judges a step that was computed on the device and on the reference beside it.
  package init(_ record: FaultRecord, compared trace: StepTrace, _ precision: Precision) {
    if let input = record.firstInput {
      self = .input(input)
    } else if let first = trace.first, let largest = trace.referenceAtFirst {
      self = precision == .fp16 && largest > Self.largestHalf ? .range(first) : .device(first)
    } else if let first = trace.firstOnReference ?? trace.first {
      self = .mathematics(first)
    } else {
      self = .notRepeated
    }
  }

  /// The finding, if there is one.
  package var finding: FaultFinding? {
    switch self {
    case .input(let found), .mathematics(let found), .range(let found), .device(let found): found
    case .suspectedDevice(let found): found
    case .notRepeated: nil
    }
  }

  /// Word for programs: `input`, `mathematics`, `range`, `device`, `suspected-device` or `not-repeated`.
  package var word: String {
    switch self {
    case .input: "input"
    case .mathematics: "mathematics"
    case .range: "range"
    case .device: "device"
    case .suspectedDevice: "suspected-device"
    case .notRepeated: "not-repeated"
    }
  }
}

extension StepTrace {
  /// Distance from the reference, relative to the largest number, from which on a result is wrong rather than rounded otherwise.
  package static func allowed(_ precision: Precision, on device: any Backend) -> Double {
    max(1e-2, 64 * precision.storage(on: device).roundoff)
  }

  /// First result that is further from the reference than rounding explains; nil if there is none.
  package func firstDeviation(beyond allowed: Double) -> Deviation? { deviations.first { $0.distance > allowed } }
}
