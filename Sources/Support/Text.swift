/// Formats a number of bytes for a message, rounded up, for example `27 MB` or `16 GB`.
public func rounded(bytes: Int) -> String {
  let (unit, name) = bytes >= 10_000_000_000 ? (1_000_000_000, "GB") : (1_000_000, "MB")
  return "\(bytes / unit + (bytes % unit == 0 ? 0 : 1)) \(name)"
}

/// Formats a whole number with commas between thousands.
package func grouped(_ value: Int) -> String {
  let digits = Array(String(value.magnitude))
  let groups = stride(from: digits.count, to: 0, by: -3).map { String(digits[max(0, $0 - 3)..<$0]) }
  return (value < 0 ? "-" : "") + groups.reversed().joined(separator: ",")
}
