import Compute

/// Layers of ResNet-20 and -56 (images of 28²×1 and 32²×3) and of ResNet-18 and -50 (224²×3), and the grouped convolutions
/// of ResNeXt-50 32×4d, each shape once.
struct RealShapes {
  /// Batch sizes of the small and of the large networks.
  private let batch, largeBatch: Int

  init(batch: Int) {
    self.batch = batch
    largeBatch = max(1, batch / 8)
  }

  var cases: [Case] {
    let large = largeConvolutions(basic: true) + largeConvolutions(basic: false) + groupedConvolutions
    let convolutions = smallConvolutions(side: 28, channels: 1) + smallConvolutions(side: 32, channels: 3) + large
    let geometries = Catalog.distinct(convolutions)
    let activations = Catalog.distinct(geometries.map(\.output))
    return geometries.flatMap {
      Catalog.convolutionPasses($0, size: .real) + [
        Catalog.foldedConvolution($0, residual: true, relu: true, size: .real),
        Catalog.convolutionWithStatistics($0, size: .real),
      ]
    } + activations.flatMap(norms) + pooling + ends
  }

  private func conv(_ n: Int, _ side: Int, _ c: Int, _ k: Int, _ filter: Int, _ stride: Int = 1) -> Conv2D {
    Conv2D(input: [n, side, side, c], filter: [filter, filter, c, k], stride: stride, padding: filter / 2)
  }

  /// Returns the convolutions of He et al. 2015, section 4.2: three stages of 16, 32 and 64 channels.
  private func smallConvolutions(side: Int, channels: Int) -> [Conv2D] {
    let half = (side + 1) / 2
    return [
      conv(batch, side, channels, 16, 3), conv(batch, side, 16, 16, 3), conv(batch, side, 16, 32, 3, 2),
      conv(batch, side, 16, 32, 1, 2), conv(batch, half, 32, 32, 3), conv(batch, half, 32, 64, 3, 2),
      conv(batch, half, 32, 64, 1, 2), conv(batch, (half + 1) / 2, 64, 64, 3),
    ]
  }

  /// The 3×3 convolutions of Xie et al. 2017, table 1, in 32 groups. The first convolution of each stage except the first halves
  /// the image.
  private var groupedConvolutions: [Conv2D] {
    [(56, 128, 1), (56, 256, 2), (28, 256, 1), (28, 512, 2), (14, 512, 1), (14, 1024, 2), (7, 1024, 1)].map { side, c, stride in
      Conv2D(input: [largeBatch, side, side, c], filter: [3, 3, c / 32, c], stride: stride, padding: 1, groups: 32)
    }
  }

  /// Returns the convolutions of He et al. 2015, table 1, where a bottleneck's 3×3 convolution carries its stride.
  private func largeConvolutions(basic: Bool) -> [Conv2D] {
    let stages = [(56, 64), (28, 128), (14, 256), (7, 512)]
    let stem = conv(largeBatch, 224, 3, 64, 7, 2)
    return [stem]
      + stages.enumerated().flatMap { i, stage in
        let (side, width) = stage
        let (before, stride) = i == 0 ? (side, 1) : (side * 2, 2)
        if basic {
          let first = [3, 1].map { conv(largeBatch, before, width / 2, width, $0, 2) }
          return (i == 0 ? [] : first) + [conv(largeBatch, side, width, width, 3)]
        }
        let input = i == 0 ? 64 : width * 2
        return [
          conv(largeBatch, before, input, width, 1), conv(largeBatch, before, width, width, 3, stride),
          conv(largeBatch, side, width, width * 4, 1), conv(largeBatch, before, input, width * 4, 1, stride),
          conv(largeBatch, side, width * 4, width, 1), conv(largeBatch, side, width, width, 3),
        ]
      }
  }

  private func norms(_ shape: Shape) -> [Case] {
    [
      Catalog.statistics(shape, size: .real),
      Catalog.normalization(shape, residual: false, relu: true, inPlace: false, size: .real),
      Catalog.normalization(shape, residual: true, relu: true, inPlace: false, size: .real),
      Catalog.gradient(shape, residual: false, relu: true, size: .real),
      Catalog.gradient(shape, residual: true, relu: true, size: .real),
    ]
  }

  private var pooling: [Case] {
    let g = Pool2D(input: [largeBatch, 112, 112, 64], window: 3, stride: 2, padding: 1)
    let last: [Shape] = [[batch, 8, 8, 64], [largeBatch, 7, 7, 512], [largeBatch, 7, 7, 2048]]
    return [Catalog.maxPool(g, size: .real), Catalog.maxPoolGradient(g, size: .real)]
      + last.flatMap { Catalog.averagePool($0, size: .real) }
  }

  /// Cases of shortcuts, classifier, loss, optimizer and batches.
  private var ends: [Case] {
    let rule = SGDRule(learningRate: 0.1, momentum: 0.9, weightDecay: 1e-4)
    return Catalog.padShortcuts([batch, 32, 32, 16], stride: 2, k: 32, size: .real)
      + Catalog.padShortcuts([batch, 16, 16, 32], stride: 2, k: 64, size: .real)
      + Catalog.multiplications(batch, 10, 64, size: .real) + Catalog.multiplications(largeBatch, 1000, 512, size: .real)
      + Catalog.multiplications(largeBatch, 1000, 2048, size: .real) + Catalog.biases(largeBatch, 1000, size: .real)
      + Catalog.crossEntropies(batch, 10, size: .real) + Catalog.crossEntropies(largeBatch, 1000, size: .real)
      + [272_474, 11_689_512].map { Catalog.sgdStep($0, rule, size: .real) }
      + [
        Catalog.gatherBatch([1024, 28, 28, 1], batch: batch, crop: (28, 28), .pixels, size: .real),
        Catalog.gatherBatch([1024, 32, 32, 3], batch: batch, crop: (32, 32), .pixels, size: .real),
      ]
  }
}
