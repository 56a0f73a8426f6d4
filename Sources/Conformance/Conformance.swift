import Compute

/// Compares a backend with the reference, case by case.
package enum Conformance {
  /// Runs the case on both backends and compares everything that it writes.
  ///
  /// Integers must be equal. Floating-point outputs must be within the case's bound, NaN where the reference is NaN, and finite
  /// where the reference is finite. On a single device, each operand lies between guard zones, which no operation may write.
  /// - Parameters:
  ///   - sharingOut: whether the images of the operands are divided among the devices of the candidate.
  ///   - isGuarded: false to leave out the guard zones, so that a memory checker sees the end of each operand.
  /// - Throws: errors of the backends.
  package static func check(
    _ subject: Case, on candidate: any Backend, against reference: any Backend, sharingOut: Bool = false, isGuarded: Bool = true
  ) throws -> Outcome {
    let tested = try subject.prepare(
      on: candidate, sharingOut: sharingOut, isGuarded: isGuarded && !sharingOut && candidate.devices.count == 1)
    try tested.run()
    let (results, damages) = (try tested.outputs(), try tested.damages())
    let trusted = try subject.prepare(on: reference, asReference: true)
    try trusted.run()
    let expected = try trusted.outputs()
    let comparisons = zip(results, expected).map { Comparison($0.name, $0.values, against: $1.values, subject.bound) }
    return Outcome(
      name: subject.name,
      error: comparisons.map(\.error).max() ?? 0,
      maximumError: comparisons.map(\.maximumError).max() ?? 0,
      bound: subject.bound.value,
      message: (comparisons.compactMap(\.complaint) + damages).joined(separator: "; "))
  }

  /// Runs the case without comparing anything, for backends that only record what they would do.
  /// - Throws: errors of the backend.
  package static func run(_ subject: Case, on backend: any Backend) throws {
    try subject.prepare(on: backend).run()
  }
}

/// Result of a case.
package struct Outcome: Sendable {
  package let name: String
  /// ‖a−b‖₂ / ‖b‖₂ of the worst output.
  package let error: Double
  /// max|a−b| / max|b| of the worst output.
  package let maximumError: Double
  /// Upper bound of ``error``.
  package let bound: Double
  /// Description of the error; empty if the case passed.
  package let message: String
  package var passed: Bool { message.isEmpty }

  init(name: String, error: Double, maximumError: Double, bound: Double, message: String) {
    (self.name, self.error, self.maximumError, self.bound, self.message) = (name, error, maximumError, bound, message)
  }

  /// Creates the outcome of a kernel that the device's compiler refuses, so that another kernel had to do its work.
  package init(refused name: String, log: String) {
    self.init(name: name, error: .infinity, maximumError: .infinity, bound: 0, message: log)
  }
}

/// Comparison of one output with that of the reference.
package struct Comparison: Sendable {
  /// ‖a−b‖₂ / ‖b‖₂; infinite if the two cannot be compared.
  package let error: Double
  /// max|a−b| / max|b|
  package let maximumError: Double
  /// Description of the error; nil if there is none.
  package let complaint: String?

  /// - Precondition: both have the same number of elements.
  package init(_ name: String, _ result: HostTensor, against expected: HostTensor, _ bound: Bound) {
    precondition(result.count == expected.count, "[Comparison] \(name): \(result.shape) against \(expected.shape)")
    if expected.type == .uint8 || expected.type == .int32 {
      let wrong = zip(result.doubles, expected.doubles).enumerated().first { $1.0 != $1.1 }
      (error, maximumError) = wrong == nil ? (0, 0) : (.infinity, .infinity)
      complaint = wrong.map { "\(name)[\($0.offset)] is \(Int($0.element.0)), not \(Int($0.element.1))" }
      return
    }
    var distances = Distances()
    for (i, (a, b)) in zip(result.doubles, expected.doubles).enumerated() { distances.add(a, b, at: i) }
    (error, maximumError) = (distances.error, distances.maximumError)
    if let mismatch = distances.mismatch {
      complaint = "\(name)[\(mismatch.index)] is \(mismatch.value), not \(mismatch.expected)"
    } else if error > bound.value || maximumError > 4 * bound.value {
      complaint = "\(name) errs by \(error) in norm, \(maximumError) at most; the bound is \(bound.value) (\(bound.reason))"
    } else {
      complaint = nil
    }
  }
}

/// Accumulates both errors over the elements that are finite in both tensors. All other elements must be the same.
private struct Distances {
  private var squares = 0.0
  private var expectedSquares = 0.0
  private var largest = 0.0
  private var expectedLargest = 0.0
  private(set) var mismatch: (index: Int, value: Double, expected: Double)?

  mutating func add(_ value: Double, _ expected: Double, at index: Int) {
    guard value.isFinite && expected.isFinite else {
      let same = value == expected || (value.isNaN && expected.isNaN)
      if !same && mismatch == nil { mismatch = (index, value, expected) }
      return
    }
    let distance = (value - expected).magnitude
    squares += distance * distance
    expectedSquares += expected * expected
    largest = max(largest, distance)
    expectedLargest = max(expectedLargest, expected.magnitude)
  }

  var error: Double { mismatch != nil ? .infinity : ratio(squares.squareRoot(), expectedSquares.squareRoot()) }
  var maximumError: Double { mismatch != nil ? .infinity : ratio(largest, expectedLargest) }

  private func ratio(_ distance: Double, _ size: Double) -> Double { distance == 0 ? 0 : distance / size }
}
