import Foundation
import Support

/// Numbers as text for people, each kind in one form.

/// Formats a number with `digits` digits after the point.
func fixed(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }

/// Formats a loss: four digits after the point, fewer for large values, and an exponent where digits would say nothing:
/// `0.2185`, `12.35`, `123.5`, `1.23e+04`, `1.20e-05`.
package func lossText(_ value: Double) -> String {
  guard value.isFinite else { return "–" }
  switch abs(value) {
  case 0: return "0.0000"
  case ..<0.001, 9999.5...: return String(format: "%.2e", value)
  case ..<9.99995: return fixed(value, 4)
  case ..<99.995: return fixed(value, 2)
  case ..<999.95: return fixed(value, 1)
  default: return fixed(value, 0)
  }
}

/// Formats a number of images in a second: one digit after the point below 10, otherwise none: `4.2`, `2,251`.
package func rateText(_ value: Double) -> String {
  guard value.isFinite, abs(value) < 1e15 else { return "–" }
  return abs(value) < 9.95 ? fixed(value, 1) : grouped(Int(value.rounded()))
}

/// Formats a fraction as a percentage, for example `92.7 %`.
package func percentText(_ fraction: Double, _ digits: Int = 1) -> String {
  fraction.isFinite ? fixed(fraction * 100, digits) + " %" : "–"
}

/// Formats a number of bytes with a unit, for example `27.3 MB`.
func bytes(_ count: Int) -> String {
  let value = Double(count)
  if value >= 1e9 { return fixed(value / 1e9, 2) + " GB" }
  if value >= 1e6 { return fixed(value / 1e6, 1) + " MB" }
  return fixed(value / 1e3, 1) + " kB"
}

/// Formats seconds as `h:mm:ss` or `m:ss`.
package func clock(_ seconds: Double) -> String {
  guard seconds < 1e9 else { return "decades" }
  let total = max(0, Int(seconds.rounded()))
  let (h, m, s) = (total / 3600, total / 60 % 60, total % 60)
  return h > 0 ? String(format: "%d:%02d:%02d", h, m, s) : String(format: "%d:%02d", m, s)
}
