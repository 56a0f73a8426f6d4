import Compute
import Support

extension Catalog {
  static var gatherBatch: [Case] {
    let shapes: [(images: Shape, batch: Int, crop: (Int, Int))] = [
      ([1, 1, 1, 1], 1, (1, 1)), ([7, 28, 28, 1], 5, (28, 28)), ([7, 32, 32, 3], 5, (32, 32)), ([5, 17, 14, 3], 9, (7, 9)),
      ([3, 3, 5, 1], 17, (8, 7)), ([33, 7, 7, 4], 3, (7, 7)),
    ]
    return shapes.flatMap { images, batch, crop in
      [Values.pixels, .normal].map { gatherBatch(images, batch: batch, crop: crop, $0) }
    } + shapes[2...4].map { gatherBatch($0, batch: $1, crop: $2, .pixels, isMixed: true) }
  }

  static func gatherBatch(
    _ images: Shape, batch: Int, crop: (p: Int, q: Int), _ pixels: Values, isMixed: Bool = false, size: Case.Size = .small
  ) -> Case {
    let output: Shape = [batch, crop.p, crop.q, images[3]]
    let plan: Operand =
      isMixed
      ? .input("plan", [batch, BatchPlan.mixedColumns], .mixedPlan(images: images[0], crop))
      : .input("plan", [batch, BatchPlan.viewColumns], .plan(images: images[0]))
    return Case(
      "gatherBatch", "\(images) of \(pixels.type) → \(output)\(isMixed ? ", mixed" : "")", size: size,
      flops: (isMixed ? 7 : 2) * output.count,
      bound: .rounding(isMixed ? 8 : 4, "a few products and sums, half a unit each of terms about as large as the result"),
      [
        .input("images", images, pixels), .input("labels", [images[0]], .indices(below: 10)),
        plan,
        // Scales pixels of up to 255 by about 1/64.
        .input("channelMap", [2, images[3]], .uniform(0.01, 0.02)),
        .output("x", output), .output("batchLabels", isMixed ? [batch, BatchPlan.labelColumns] : [batch], .int32),
      ]
    ) {
      try $0.gatherBatch(
        images: $1["images"], labels: $1["labels"], plan: $1["plan"], channelMap: $1["channelMap"], into: $1["x"],
        batchLabels: $1["batchLabels"])
    }
  }
}

extension Values {
  /// Returns samples (index, top, left, flip) whose crops begin up to four pixels outside the image on either side.
  fileprivate static func plan(images: Int) -> Values {
    Values(type: .int32) { shape, random in
      HostTensor((0..<shape[0]).flatMap { _ in view(images: images, &random) }, shape: shape)
    }
  }

  /// Returns the view of a random image whose crop begins up to four pixels outside it on either side.
  private static func view(images: Int, _ random: inout Philox) -> [Int32] {
    BatchPlan.view(
      random.below(images), top: random.below(9) - 4, left: random.below(9) - 4, isFlipped: random.below(2) == 1)
  }

  /// Returns rows of two such samples with erased and mixed rectangles, some of them empty.
  fileprivate static func mixedPlan(images: Int, _ crop: (p: Int, q: Int)) -> Values {
    let (p, q) = crop
    return Values(type: .int32) { shape, random in
      // Some boxes lie partly outside the crop, and some are empty.
      func box() -> [Int32] {
        BatchPlan.box(
          top: random.below(p + 1), left: random.below(q + 1), height: random.below(p + 1), width: random.below(q + 1))
      }
      func erasedView() -> (view: [Int32], erased: [Int32]) { (view(images: images, &random), box()) }
      func share() -> Int { [0, BatchPlan.wholeShare, random.below(BatchPlan.wholeShare)][random.below(3)] }
      let rows = (0..<shape[0]).flatMap { _ in
        BatchPlan.mixed(erasedView(), erasedView(), box: box(), pixelShare: share(), labelShare: share())
      }
      return HostTensor(rows, shape: shape)
    }
  }
}
