import Support

/// Nearest images to one image, by the cosine similarity of features.
package struct SimilarImages {
  /// An image with its similarity, -1 to 1.
  package struct Match: Hashable {
    package let path: String
    package let similarity: Double
  }

  /// Nearest images so far, the most similar first. Of equally similar images, the earlier one comes first.
  package private(set) var nearest: [Match] = []
  private let features: [Float]
  private let norm: Double
  private let count: Int

  /// - Parameters:
  ///   - features: features of the image to compare with.
  ///   - count: number of images to keep.
  package init(to features: some Collection<Float>, count: Int) {
    self.features = Array(features)
    norm = Self.norm(self.features)
    self.count = count
  }

  /// Compares one more image.
  package mutating func add(_ path: String, _ other: ArraySlice<Float>) {
    let product = zip(features, other).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
    let norms = norm * Self.norm(other)
    let similarity = norms > 0 ? product / norms : 0
    guard nearest.count < count || similarity > nearest[nearest.count - 1].similarity else { return }
    let place = nearest.firstIndex { similarity > $0.similarity } ?? nearest.count
    nearest.insert(Match(path: path, similarity: similarity), at: place)
    if nearest.count > count { nearest.removeLast() }
  }

  private static func norm(_ values: some Collection<Float>) -> Double {
    values.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
  }
}
