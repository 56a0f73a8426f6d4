/// The form of a configuration in files. Its keys are the names of the properties. Files from before ``normalization`` lack it, and
/// it is written only where it is not the usual one, so that the files of usual networks stay as they were.
extension ModelConfiguration {
  private enum CodingKeys: CodingKey {
    case name, classes, channels, shortcut, stridePlacement, zeroInitLastBatchNorm, normalization
  }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      name: try values.decode(String.self, forKey: .name), classes: try values.decode(Int.self, forKey: .classes),
      channels: try values.decode(Int.self, forKey: .channels),
      shortcut: try values.decodeIfPresent(ShortcutOption.self, forKey: .shortcut),
      stridePlacement: try values.decode(StridePlacement.self, forKey: .stridePlacement),
      zeroInitLastBatchNorm: try values.decode(Bool.self, forKey: .zeroInitLastBatchNorm),
      normalization: try values.decodeIfPresent(BlockNormalization.self, forKey: .normalization) ?? .batch)
  }

  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(name, forKey: .name)
    try values.encode(classes, forKey: .classes)
    try values.encode(channels, forKey: .channels)
    try values.encodeIfPresent(shortcut, forKey: .shortcut)
    try values.encode(stridePlacement, forKey: .stridePlacement)
    try values.encode(zeroInitLastBatchNorm, forKey: .zeroInitLastBatchNorm)
    if normalization != .batch { try values.encode(normalization, forKey: .normalization) }
  }
}
