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
