import Compute
import Formats
import Images
import Testing

/// Against torchvision on Pillow images, to the last bit; Scripts/make-augmentation-fixtures.py writes what is compared with.
@Suite struct AugmentationTests {
  private static let expected = (try? Safetensors.read(Fixtures.path("augmentation.safetensors")).tensors) ?? [:]

  private func source(_ name: String) throws -> RGBImage {
    let photo = try EncodedImage(contentsOf: Fixtures.path("photo.png")).decoded()
    switch name {
    case "computed": return computedImage(64, 96)
    case "grey": return photo.applying(.saturation(0))
    default: return photo
    }
  }

  @Test(arguments: ["photo", "computed", "grey"]) func trivialAugmentAsTorchvision(_ name: String) throws {
    let sums = try #require(Self.expected["trivial \(name)"]).elements(as: Int64.self)
    let image = try source(name)
    for (index, operation) in TrivialAugment.operations.enumerated() {
      for bin in 0..<TrivialAugment.bins {
        for sign in 0..<2 {
          let change = operation(bin, sign == 1)
          let sum = Int(sums[(index * TrivialAugment.bins + bin) * 2 + sign])
          #expect(crc32(image.applying(change).pixels) == sum, "\(change), bin \(bin), \(sign)")
        }
      }
    }
  }

  @Test(arguments: ["photo", "computed", "grey"]) func colourAsTorchvision(_ name: String) throws {
    let image = try source(name)
    let operations: [(String, (Double) -> PixelOperation)] = [
      ("brightness", { .brightness($0) }), ("contrast", { .contrast($0) }), ("saturation", { .saturation($0) }),
      ("hue", { .hue($0) }),
    ]
    for (operation, change) in operations {
      let factors = try #require(Self.expected["\(operation) factors"]).doubles
      let sums = try #require(Self.expected["\(operation) \(name)"]).elements(as: Int64.self)
      for (factor, sum) in zip(factors, sums) {
        #expect(crc32(image.applying(change(factor)).pixels) == Int(sum), "\(operation) \(factor)")
      }
    }
  }
}
