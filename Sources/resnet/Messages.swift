import Support

/// Spelling of settings on the command line. Libraries know settings only as values.
extension Setting {
  /// The option, for example `--batch-size`.
  var option: String {
    switch self {
    case .averageDecay: "--ema"
    case .frozen: "--freeze"
    case .fold: "--fold"
    case .initialWeights: "--init"
    case .learningRateScales: "--learning-rate-scale"
    case .normalization: "--mean and --std"
    default: "--" + rawValue.reduce("") { $1.isUppercase ? "\($0)-\($1.lowercased())" : "\($0)\($1)" }
    }
  }
}

extension Message {
  /// The text with settings spelled as options, for example `--batch-size 32`.
  var line: String { text { setting, value in value.map { "\(setting.option) \($0)" } ?? setting.option } }
}

extension Failure {
  /// The whole line with settings spelled as options.
  var line: String { message.line }
}
