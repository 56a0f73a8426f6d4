import ArgumentParser
import Support

/// Options that were given, found by their properties. This needs each option's name to be that of its property, as
/// `--batch-size` is that of `batchSize`.
extension ParsableArguments {
  /// Names of the options that were given, in the order of their properties. Options that have a default value are not among
  /// them.
  var given: [String] {
    Mirror(reflecting: self).children.flatMap { child in
      (child.value as? any GivenOption)?.given(as: optionName(ofProperty: String((child.label ?? "").dropFirst()))) ?? []
    }
  }
}

/// Returns the option of a property or a setting, for example `--batch-size` for `batchSize`.
func optionName(ofProperty name: String) -> String {
  "--" + name.reduce("") { $1.isUppercase ? "\($0)-\($1.lowercased())" : "\($0)\($1)" }
}

/// Parsed value of an option, a flag or a group of them.
private protocol GivenOption {
  /// Names of the options that were given.
  /// - Parameter name: the name of this one.
  func given(as name: String) -> [String]
}

extension Option: GivenOption {
  fileprivate func given(as name: String) -> [String] {
    let value = Mirror(reflecting: wrappedValue)
    let canBeMissing = value.displayStyle == .optional || value.displayStyle == .collection
    return canBeMissing && !value.children.isEmpty ? [name] : []
  }
}

extension Flag: GivenOption {
  fileprivate func given(as name: String) -> [String] {
    guard let isOn = wrappedValue as? Bool else { return [] }
    if isOn { return [name] }
    // Only a flag that can be missing has an opposite.
    return Value.self == Bool?.self ? ["--no-\(name.dropFirst(2))"] : []
  }
}

extension OptionGroup: GivenOption {
  fileprivate func given(as name: String) -> [String] { wrappedValue.given }
}
