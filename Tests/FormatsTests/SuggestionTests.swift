import Support
import Testing

/// Tests which name is suggested for a wrong one.
@Suite struct SuggestionTests {
  private static let models = ["resnet20", "resnet56", "resnet18", "resnet50", "plain20", "resnext50_32x4d", "preresnet110"]
  private static let options = ["--batch-size", "--ema", "--init", "--learning-rate", "--learning-rate-scale", "--seed"]

  @Test(arguments: [
    ("resnet5O", models, "resnet50"), ("resnetl8", models, "resnet18"), ("RESNET-50", models, "resnet50"),
    ("rsnet18", models, "resnet18"), ("resnext50", models, "resnext50_32x4d"), ("preresnet", models, "preresnet110"),
    ("efficientnet_b0", models, nil), ("vgg16", models, nil), ("", models, nil), ("densenet", models, nil),
    ("--batchsize", options, "--batch-size"), ("--batch_size", options, "--batch-size"), ("--batch", options, "--batch-size"),
    ("--lr", options, nil), ("--sede", options, "--seed"), ("--learning", options, nil), ("--e", options, nil),
    ("fashion_mnist", ["fashion-mnist", "mnist"], "fashion-mnist"), ("mnsit", ["fashion-mnist", "mnist"], "mnist"),
    ("trian", ["train", "tune"], "train"), ("cifar", ["cifar10", "cifar100"], "cifar10"),
    ("adam", ["sgd", "adamw", "lars"], "adamw"), ("sdg", ["sgd", "adamw", "lars"], "sgd"), ("b", ["a", "c"], nil),
  ])
  func theNearestName(_ text: String, _ names: [String], _ expected: String?) {
    #expect(nearest(to: text, among: names) == expected)
  }

  /// Checks that a text that is far too long is not compared letter by letter, which would take minutes.
  @Test func longTextsHaveNoNearName() {
    #expect(nearest(to: String(repeating: "x", count: 1 << 18), among: Self.options) == nil)
  }

  /// The costs are 1 for an insertion, a deletion, a substitution and a swap, and a half for look-alikes and separators.
  @Test(arguments: [
    ("kitten", "sitting", 3), ("abc", "abc", 0), ("", "abc", 3), ("abc", "", 3), ("ab", "ba", 1), ("5O", "50", 1),
    ("5o", "50", 0.5),
    ("a-b", "ab", 0.5), ("a-b", "a_b", 0.5), ("trian", "train", 1),
  ])
  func distances(_ a: String, _ b: String, _ expected: Double) {
    #expect(editDistance(Array(a), Array(b)) == expected && editDistance(Array(b), Array(a)) == expected)
  }
}
