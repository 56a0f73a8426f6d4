import Compute
import Formats
import Images
import TestSupport
import Testing

/// Compares with torchvision on Pillow images, to the last bit. Scripts/make-augmentation-fixtures.py writes the expected
/// results.
@Suite struct AugmentationTests {
  private static let expected = (try? Safetensors.read(Fixtures.path("augmentation.safetensors")).tensors) ?? [:]

  private func source(_ name: String) throws -> RGBImage {
    let photo = try EncodedImage(contentsOf: Fixtures.path("photo.png")).decoded()
    switch name {
    case "computed": return computedImage(64, 96)
    case "gray": return photo.applying(.saturation(0))
    default: return photo
    }
  }

  @Test(arguments: ["photo", "computed", "gray"]) func trivialAugmentAsTorchvision(_ name: String) throws {
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

  @Test(arguments: ["photo", "computed", "gray"]) func colorAsTorchvision(_ name: String) throws {
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

/// Tests the random draws and the operations that they select.
@Suite struct PixelDrawTests {
  @Test func jitterIsDrawnInItsRangesAndInAnyOrder() {
    let jitter = PixelAugmentation(
      colorJitter: ColorJitter(brightness: 0.4, contrast: 1.5, saturation: 0.2, hue: 0.1), trivialAugment: false, seed: 1,
      epoch: 2)
    var (orders, sums) = ([[Int]: Int](), [0.0, 0.0, 0.0, 0.0])
    for sample in 0..<4800 {
      let operations = jitter.draw(sample: sample)
      let values: [(Int, Double, ClosedRange<Double>)] = operations.compactMap {
        switch $0 {
        case .brightness(let factor): (0, factor, 0.6...1.4)
        case .contrast(let factor): (1, factor, 0...2.5)
        case .saturation(let factor): (2, factor, 0.8...1.2)
        case .hue(let turns): (3, turns, -0.1...0.1)
        default: nil
        }
      }
      #expect(values.count == 4 && values.allSatisfy { $0.2.contains($0.1) })
      orders[values.map(\.0), default: 0] += 1
      for (index, value, _) in values { sums[index] += value / 4800 }
    }
    // There are 24 orders, 200 expected of each, standard deviation 14. The deviations of the means are 0.0033, 0.010,
    // 0.0017 and 0.0008.
    #expect(orders.count == 24 && orders.values.allSatisfy { abs($0 - 200) < 70 })
    for (mean, expected) in zip(sums, [1, 1.25, 1, 0]) { #expect(abs(mean - expected) < 0.05) }
    let one = PixelAugmentation(colorJitter: ColorJitter(contrast: 0.3), trivialAugment: false, seed: 1, epoch: 2)
    #expect((0..<50).allSatisfy { one.draw(sample: $0).count == 1 })
  }

  /// Checks that 14 transforms, 31 strengths and two signs are equally frequent: 4340 draws, 310 expected of each
  /// transform, deviation 17.
  @Test func trivialAugmentDrawsEvenly() {
    let augmentation = PixelAugmentation(colorJitter: nil, trivialAugment: true, seed: 4, epoch: 0)
    let drawn = (0..<4340).flatMap { augmentation.draw(sample: $0) }
    #expect(drawn.count == 4340)
    let kinds = Dictionary(grouping: drawn) { "\($0)".prefix { $0 != "(" } }.mapValues(\.count)
    #expect(kinds.count == 14 && kinds.values.allSatisfy { abs($0 - 310) < 85 })
    let slopes = Set(drawn.compactMap { if case .shearX(let slope) = $0 { slope } else { nil } })
    #expect(slopes.count > 50 && slopes.allSatisfy { abs($0) < 0.9901 } && slopes.contains { $0 < 0 })
    // Draws depend on seed, epoch and sample alone.
    let others = [(5, 0), (4, 1)].map { PixelAugmentation(colorJitter: nil, trivialAugment: true, seed: $0, epoch: $1) }
    for other in others { #expect((0..<40).map { other.draw(sample: $0) } != (0..<40).map { augmentation.draw(sample: $0) }) }
    #expect((0..<40).map { augmentation.draw(sample: $0) } == drawn.prefix(40).map { [$0] })
  }

  @Test func changesFollowTheTransform() throws {
    let image = try EncodedImage(contentsOf: Fixtures.path("photo.png"))
    let base = EvaluationTransform(resize: 32, crop: 28)
    let augmentation = PixelAugmentation(colorJitter: ColorJitter(brightness: 1), trivialAugment: true, seed: 4, epoch: 0)
    for sample in 0..<20 {
      var expected = try base.apply(image)
      for change in augmentation.draw(sample: sample) { expected = expected.applying(change) }
      #expect(try AugmentedTransform(base, augmentation).apply(image, sample: sample) == expected)
    }
  }

  /// Covers images that are too small for a neighborhood, images without contrast, and an image of one pixel.
  @Test func smallImages() {
    let pixel = RGBImage(height: 1, width: 1, pixels: [9, 200, 77])
    for operation in TrivialAugment.operations { _ = pixel.applying(operation(30, true)) }
    #expect(pixel.applying(.sharpness(2), .autoContrast, .equalize, .hue(0)) == pixel)
    let flat = RGBImage(height: 2, width: 5, pixels: [UInt8](repeating: 8, count: 30))
    #expect(flat.applying(.sharpness(0), .autoContrast, .equalize, .contrast(0.3), .saturation(3)) == flat)
  }

  @Test func pictureIsWrittenAndRead() throws {
    try withTemporaryFolder { folder in
      for image in [computedImage(37, 53), computedImage(1, 1), computedImage(3, 700)] {
        try image.writePNG(to: "\(folder)/a.png")
        #expect(try EncodedImage(contentsOf: "\(folder)/a.png").decoded() == image)
      }
      let message = failureMessage { try computedImage(2, 2).writePNG(to: "\(folder)/nowhere/a.png") }
      #expect(message.contains("nowhere/a.png"))
    }
  }
}
