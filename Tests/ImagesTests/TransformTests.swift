import Compute
import Images
import TestSupport
import Testing

@Suite struct TransformTests {
  @Test func evaluation() throws {
    let image = try EncodedImage(contentsOf: Fixtures.path("photo.png"))
    let transform = EvaluationTransform(resize: 32, crop: 28)
    #expect(try transform.apply(image) == (try Fixtures.image("evaluation 32 28")))
    #expect(transform.applied(to: try image.decoded()) == (try transform.apply(image)))
    #expect(EvaluationTransform.usual(crop: 224) == EvaluationTransform())
  }

  /// Checks timm's recipe (the crop's fraction of the shorter side, rounded down, bicubic), and a resize of the whole image.
  @Test func otherRecipes() throws {
    let image = try EncodedImage(contentsOf: Fixtures.path("photo.png"))
    let recipe = EvaluationRecipe(cropFraction: 0.95, interpolation: .bicubic)
    let transform = try recipe.transform(crop: 28)
    #expect(transform == EvaluationTransform(resize: 29, crop: 28, interpolation: .bicubic))
    #expect(try transform.apply(image) == (try Fixtures.image("evaluation 0.95 28 bicubic")))
    let whole = WholeImageTransform(height: 20, width: 12, interpolation: .bicubic)
    #expect(try whole.apply(image) == (try Fixtures.image("whole 20 12 bicubic")))
    // The center crop is one of five crops, each with 28·28·3 values.
    let crops = try FiveCrops(transform).apply(image)
    #expect(crops.cropped(to: PixelArea(top: 4 * 28, left: 0, height: 28, width: 28)) == (try transform.apply(image)))
  }

  @Test func recipes() throws {
    func side(_ recipe: EvaluationRecipe, _ crop: Int) throws -> Int { try recipe.transform(crop: crop).resize }
    #expect(try EvaluationRecipe().transform(crop: 96) == .usual(crop: 96))
    #expect(try EvaluationRecipe(interpolation: .bicubic).transform(crop: 224).resize == 256)
    #expect(try side(EvaluationRecipe(resize: 232), 224) == 232)
    // The expected values are Python's math.floor(crop / fraction).
    for (crop, fraction, expected) in [(224, 0.95, 235), (224, 0.875, 256), (288, 0.96, 300), (176, 0.9, 195), (224, 1, 224)] {
      #expect(try side(EvaluationRecipe(cropFraction: fraction), crop) == expected)
    }
    let known = EvaluationRecipe(resize: 232, interpolation: .bicubic)
    #expect(EvaluationRecipe().completed(by: known) == known)
    #expect(
      EvaluationRecipe(interpolation: .bilinear).completed(by: known) == EvaluationRecipe(resize: 232, interpolation: .bilinear))
    let fraction = EvaluationRecipe(cropFraction: 0.9, interpolation: .bicubic)
    #expect(EvaluationRecipe(cropFraction: 0.9).completed(by: known) == fraction)
    #expect(known.scaled(from: 224, to: 288).resize == 298 && fraction.scaled(from: 224, to: 288) == fraction)
    for (recipe, crop) in [
      (EvaluationRecipe(resize: 223), 224), (EvaluationRecipe(cropFraction: 0.001), 224),
      (EvaluationRecipe(cropFraction: .nan), 8),
      (EvaluationRecipe(resize: 9, cropFraction: 0.9), 8), (EvaluationRecipe(cropFraction: 1.5), 8),
      (EvaluationRecipe(resize: 0), 8),
    ] {
      _ = failureMessage { _ = try recipe.transform(crop: crop) }
    }
  }

  /// Checks that a crop is the resize of the cropped area, flipped if the draw says so.
  @Test func training() throws {
    for name in ["photo.png", "444.jpg", "orientation-6.jpg"] {
      let image = try EncodedImage(contentsOf: Fixtures.path(name))
      let crop = RandomResizedCrop(size: 16)
      let whole = try image.decoded()
      for sample in 0..<20 {
        let draw = crop.draw(seed: 3, epoch: 2, sample: sample, height: image.height, width: image.width)
        let expected = whole.cropped(to: draw.area).resized(height: 16, width: 16)
        let transform = TrainingTransform(crop, seed: 3, epoch: 2, decodesReduced: false)
        #expect(try transform.apply(image, sample: sample) == (draw.isFlipped ? expected.flipped() : expected))
      }
    }
  }

  /// Checks that a crop lies where it was drawn, at whatever size the JPEG was decoded. A ramp stays a ramp under
  /// averaging, so it shows even a shift by half a pixel. If no reduction divides a side, its last pixels stand for fewer
  /// pixels than the others; EXIF decides on which side of the image they lie.
  @Test(arguments: Orientation.allCases) func reducedDecodingMovesNothing(_ orientation: Orientation) throws {
    var bytes = try Fixtures.bytes("ramp.jpg")
    let entry: [UInt8] = [0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 1]
    let place = try #require((0..<100).first { bytes[$0...].starts(with: entry) })
    bytes[place + entry.count - 1] = UInt8(orientation.rawValue)
    let image = try EncodedImage(bytes, name: "ramp")
    #expect(image.orientation == orientation)
    var errors: [Int: [Double]] = [:]
    for (size, sample) in [(2, 0..<60), (4, 60..<120), (8, 120..<200)].flatMap({ size, samples in samples.map { (size, $0) } }) {
      let crop = RandomResizedCrop(size: size)
      let exact = try TrainingTransform(crop, seed: 0, epoch: 0, decodesReduced: false).apply(image, sample: sample)
      let quick = try TrainingTransform(crop, seed: 0, epoch: 0).apply(image, sample: sample)
      let area = crop.draw(seed: 0, epoch: 0, sample: sample, height: image.height, width: image.width).area
      let reduction = image.reduction(
        keeping: (
          height: (image.height * size + area.height - 1) / area.height, width: (image.width * size + area.width - 1) / area.width
        ))
      let sum = zip(exact.pixels, quick.pixels).map { abs(Double($0) - Double($1)) }.reduce(0, +)
      errors[reduction, default: []].append(sum / Double(exact.pixels.count))
    }
    #expect(errors.keys.sorted() == [1, 2, 4, 8] && errors[1]?.max() == 0)
    // The slopes are 4 and 5 per pixel. If sides counted as 8·⌈side/8⌉ and were flipped from there, the errors would be
    // 2.2, 4.5 and 12.3.
    for (reduction, values) in errors {
      #expect(values.reduce(0, +) / Double(values.count) <= Double(reduction) / 2, "\(orientation), reduced by \(reduction)")
    }
  }

  /// Checks that decoding at a reduced size changes values only a little, and only where a reduction is possible.
  @Test func reducedDecoding() throws {
    let image = try EncodedImage(contentsOf: Fixtures.path("444.jpg"))
    var reduced = 0
    for sample in 0..<50 {
      let exact = try TrainingTransform(RandomResizedCrop(size: 6), seed: 0, epoch: 0, decodesReduced: false)
        .apply(image, sample: sample)
      let quick = try TrainingTransform(RandomResizedCrop(size: 6), seed: 0, epoch: 0).apply(image, sample: sample)
      let errors = zip(exact.pixels, quick.pixels).map { abs(Double($0) - Double($1)) }
      #expect(errors.reduce(0, +) / Double(errors.count) < 12)
      reduced += exact == quick ? 0 : 1
    }
    #expect(reduced > 10 && reduced < 50)
  }

  @Test func drawsDependOnTheirNumbersAlone() {
    let crop = RandomResizedCrop()
    func draw(_ seed: UInt64, _ epoch: Int, _ sample: Int) -> RandomResizedCrop.Draw {
      crop.draw(seed: seed, epoch: epoch, sample: sample, height: 375, width: 500)
    }
    #expect(draw(1, 2, 3) == draw(1, 2, 3))
    #expect(Set([draw(1, 2, 3), draw(2, 2, 3), draw(1, 3, 3), draw(1, 2, 4)]).count == 4)
  }

  /// Checks that area and aspect ratio have the expected distributions, by the moments of 20,000 draws.
  @Test func distribution() {
    let (height, width, count) = (1000, 1000, 20_000)
    var (flips, areas, inside, shapes, tops) = (0, 0.0, 0, 0.0, 0.0)
    for sample in 0..<count {
      // The scales are small enough that the first try always fits.
      let draw = RandomResizedCrop(scale: 0.1...0.5).draw(seed: 5, epoch: 1, sample: sample, height: height, width: width)
      #expect(draw.area.top >= 0 && draw.area.top + draw.area.height <= height)
      #expect(draw.area.left >= 0 && draw.area.left + draw.area.width <= width)
      let share = Double(draw.area.height * draw.area.width) / Double(height * width)
      let shape = Double(draw.area.width) / Double(draw.area.height)
      flips += draw.isFlipped ? 1 : 0
      areas += share
      inside += share > 0.099 && share < 0.501 && shape > 0.745 && shape < 1.34 ? 1 : 0
      shapes += shape
      tops += Double(draw.area.top) / Double(height - draw.area.height)
    }
    let n = Double(count)
    #expect(inside == count)
    #expect(abs(Double(flips) / n - 0.5) < 0.015)
    #expect(abs(areas / n - 0.3) < 0.004)
    // Mean of a variable whose logarithm is uniform on ± ln(4/3): (4/3 − 3/4) / (2 ln(4/3)) = 1.01385.
    #expect(abs(shapes / n - 1.01385) < 0.005)
    #expect(abs(tops / n - 0.5) < 0.01)
  }

  /// Checks that alternating flips show both forms of each photograph in turn, and leave the crops as they are.
  @Test func alternatingFlips() {
    let (random, alternating) = (RandomResizedCrop(), RandomResizedCrop(flipRule: .alternate))
    var mirrored = 0
    for sample in 0..<500 {
      let draws = (0..<3).map { alternating.draw(seed: 2, epoch: $0, sample: sample, height: 90, width: 120) }
      #expect(draws[1].isFlipped != draws[0].isFlipped && draws[2].isFlipped == draws[0].isFlipped)
      #expect(draws[2].area == random.draw(seed: 2, epoch: 2, sample: sample, height: 90, width: 120).area)
      mirrored += draws[0].isFlipped ? 1 : 0
    }
    // The standard deviation is 11.
    #expect(abs(mirrored - 250) < 55)
  }

  /// Checks that the crop is the largest centered rectangle of an allowed aspect ratio if no try can fit.
  @Test func fallback() {
    let crop = RandomResizedCrop(scale: 1...1, flip: false)
    let wide = crop.draw(seed: 0, epoch: 0, sample: 0, height: 100, width: 1000).area
    #expect(wide == PixelArea(top: 0, left: 433, height: 100, width: 133))
    let tall = crop.draw(seed: 0, epoch: 0, sample: 0, height: 1000, width: 99).area
    #expect(tall == PixelArea(top: 434, left: 0, height: 132, width: 99))
    let pixel = crop.draw(seed: 0, epoch: 0, sample: 0, height: 1, width: 1).area
    #expect(pixel == PixelArea(top: 0, left: 0, height: 1, width: 1))
  }
}
