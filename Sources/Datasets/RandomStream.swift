/// Random streams of data sets, distinct from each other and from those of augmentation and weights.
enum RandomStream {
  static let shuffle: UInt32 = 0x0D00_0001
  static let balance: UInt32 = 0x0D00_0002
  static let pattern: UInt32 = 0x0D00_0003
  static let noise: UInt32 = 0x0D00_0004
}
