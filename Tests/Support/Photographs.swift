import CZlib
import Foundation

/// Writes an 8-bit RGB PNG of one color under slight noise, so that classes can be distinguished.
public func writePicture(_ path: String, height: Int, width: Int, color: (UInt8, UInt8, UInt8), noise: UInt32) throws {
  func chunk(_ type: String, _ data: [UInt8]) -> [UInt8] {
    let body = Array(type.utf8) + data
    return big(data.count) + body + big(Int(crc32(0, body, UInt32(body.count))))
  }
  var state = noise &* 2_654_435_761 | 1
  func noisy(_ value: UInt8) -> UInt8 {
    state = state &* 1_664_525 &+ 1_013_904_223
    return value &+ UInt8(state >> 27)
  }
  var rows: [UInt8] = []
  for _ in 0..<height {
    rows.append(0)  // Filter type: none.
    for _ in 0..<width { rows += [noisy(color.0), noisy(color.1), noisy(color.2)] }
  }
  var count = compressBound(UInt(rows.count))
  var data = [UInt8](repeating: 0, count: Int(count))
  compress(&data, &count, rows, UInt(rows.count))
  let bytes =
    [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A] + chunk("IHDR", big(width) + big(height) + [8, 2, 0, 0, 0])
    + chunk("IDAT", Array(data.prefix(Int(count)))) + chunk("IEND", [])
  try write(bytes, to: path)
}

/// Writes pictures of several sizes in three classes, into `train` and `val`.
public func writePhotographs(_ folder: String, train: Int, validation: Int) throws {
  let colors: [(UInt8, UInt8, UInt8)] = [(200, 30, 30), (30, 200, 30), (40, 40, 180)]
  for (split, count) in [("train", train), ("val", validation)] {
    for (label, name) in ["ant", "bee", "cat"].enumerated() {
      for index in 0..<count {
        try writePicture(
          "\(folder)/\(split)/\(name)/\(index).png", height: 20 + index % 7, width: 18 + index % 11, color: colors[label],
          noise: UInt32(label * 1000 + index))
      }
    }
  }
}
