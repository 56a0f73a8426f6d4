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
