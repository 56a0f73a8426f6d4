import Images
import Support
import Training

/// A mistake in the gallery of a report: the picture, and what is known about it.
struct MistakePicture {
  let mistake: Mistake
  /// Names of the classes.
  let classes: [String]
  /// The image as the network sees it; nil if it cannot be shown.
  let picture: RGBImage?

  /// Side up to which pixels are shown as squares when they are enlarged.
  private static let smallSide = 64

  var html: HTML {
    let (right, wrong) = (classes[mistake.label], classes[mistake.prediction])
    let caption = HTML.element(
      "figcaption", [:],
      [
        .element("span", ["class": "class"], right), .element("span", ["class": "wrong"], "→ \(wrong)"),
        .element(
          "span", ["class": "quiet"], "\(percentText(mistake.labelProbability)) → \(percentText(mistake.probability))"),
        .element("span", ["class": "file", "title": mistake.image], file),
      ])
    return .element("li", [:], [.element("figure", [:], [image(right, wrong), caption])])
  }

  private func image(_ right: String, _ wrong: String) -> HTML {
    guard let picture, let png = try? picture.png() else { return .element("div", ["class": "blank"], "no picture") }
    let image = HTML.picture(
      png, name: "\(right), taken for \(wrong)", width: picture.width, height: picture.height)
    return .element("div", ["class": max(picture.width, picture.height) <= Self.smallSide ? "pixels" : "photograph"], [image])
  }

  /// The end of the image's path, or its number.
  private var file: String { mistake.path.split(separator: "/").last.map(String.init) ?? mistake.image }
}
