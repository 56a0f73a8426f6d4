import CZlib
import Compute
import Formats
import Foundation
import Images
import Support
import Testing

/// The files that Scripts/make-image-fixtures.py wrote.
enum Fixtures {
  static let folder = Bundle.module.resourceURL!.appendingPathComponent("Fixtures").path
  static let expected = try! Safetensors.read("\(folder)/expected.safetensors").tensors
  /// Names of the expected pictures that are names of files.
  static let pictures = expected.keys.filter { !$0.contains(" ") && $0.contains(".") }.sorted()

  static func path(_ name: String) -> String { "\(folder)/\(name)" }
  static func bytes(_ name: String) throws -> [UInt8] { try InputFile(path(name)).read() }

  static func image(_ name: String) throws -> RGBImage {
    let tensor = try #require(expected[name])
    return RGBImage(height: tensor.shape[0], width: tensor.shape[1], pixels: tensor.bytes)
  }
}

/// Makes the picture that the script computes too.
func computedImage(_ height: Int, _ width: Int) -> RGBImage {
  var pixels: [UInt8] = []
  for h in 0..<height {
    for w in 0..<width {
      for c in 0..<3 { pixels.append(UInt8((h * 7 + w * 13 + c * 50 + (h * w) % 251) % 256)) }
    }
  }
  return RGBImage(height: height, width: width, pixels: pixels)
}

func crc32(_ bytes: [UInt8]) -> Int { Int(CZlib.crc32(0, bytes, UInt32(bytes.count))) }

/// Returns the largest difference between two pictures' values, or 256 if their sizes differ.
func difference(_ a: RGBImage, _ b: RGBImage) -> Int {
  guard a.height == b.height, a.width == b.width else { return 256 }
  return zip(a.pixels, b.pixels).map { abs(Int($0) - Int($1)) }.max() ?? 0
}
