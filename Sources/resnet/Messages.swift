import Support

/// Spelling of settings on the command line. Libraries know settings only as values.
extension Setting {
  /// The option, for example `--batch-size`.
  var option: String {
    switch self {
    case .averageDecay: "--ema"
    case .frozen: "--freeze"
    case .initialWeights: "--init"
    case .learningRateScales: "--learning-rate-scale"
    case .normalization: "--mean and --std"
    default: optionName(ofProperty: rawValue)
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
