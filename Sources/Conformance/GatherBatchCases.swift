import Compute

extension Catalogue {
  static var gatherBatch: [Case] {
    let shapes: [(images: Shape, batch: Int, crop: (Int, Int))] = [
      ([1, 1, 1, 1], 1, (1, 1)), ([7, 28, 28, 1], 5, (28, 28)), ([7, 32, 32, 3], 5, (32, 32)), ([5, 17, 14, 3], 9, (7, 9)),
      ([3, 3, 5, 1], 17, (8, 7)), ([33, 7, 7, 4], 3, (7, 7)),
    ]
    return shapes.flatMap { images, batch, crop in
      [Values.pixels, .normal].map { gatherBatch(images, batch: batch, crop: crop, $0) }
    }
  }

  static func gatherBatch(
    _ images: Shape, batch: Int, crop: (p: Int, q: Int), _ pixels: Values, size: Case.Size = .small
  ) -> Case {
    let output: Shape = [batch, crop.p, crop.q, images[3]]
    return Case(
      "gatherBatch", "\(images) of \(pixels.type) → \(output)", size: size, flops: 2 * output.count,
      bound: .rounding(4, "a product and a sum, half a unit each of terms about as large as the result"),
      [
        .input("images", images, pixels), .input("labels", [images[0]], .indices(below: 10)),
        .input("plan", [batch, 4], .plan(images: images[0])),
        // Pixels of up to 255 are scaled by about 1/64.
        .input("channelMap", [2, images[3]], .uniform(0.01, 0.02)),
        .output("x", output), .output("batchLabels", [batch], .int32),
      ]
    ) {
      try $0.gatherBatch(
        images: $1["images"], labels: $1["labels"], plan: $1["plan"], channelMap: $1["channelMap"], into: $1["x"],
        batchLabels: $1["batchLabels"])
    }
  }
}

extension Values {
  /// Samples (index, top, left, flip) whose crops begin up to four pixels outside the image on either side.
  fileprivate static func plan(images: Int) -> Values {
    Values(type: .int32) { shape, random in
      let rows = (0..<shape[0]).flatMap { _ in
        [random.below(images), random.below(9) - 4, random.below(9) - 4, random.below(2)]
      }
      return HostTensor(rows.map(Int32.init), shape: shape)
    }
  }
}
