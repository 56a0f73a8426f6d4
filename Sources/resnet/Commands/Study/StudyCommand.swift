import ArgumentParser
import Models
import Support
import Training

/// Studies of why residual networks exist, by runs of one's own.
struct StudyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "study", abstract: "Train networks alike and compare them, as the papers do.",
    usage: "resnet study <subcommand> [options]",
    discussion: examples(
      "resnet study degradation --minutes 60", "resnet study gradients --depths 20 --epochs 3", "resnet study shortcuts --seeds 3"
    ),
    subcommands: [Degradation.self, Gradients.self, Depth.self, Shortcuts.self])

  /// End of each discussion.
  private static let folder = """
    Each run is an ordinary run in the folder of the study. An interrupted study goes on if the same command is given again; \
    finished runs are not trained again.
    """

  struct Degradation: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Train plain and residual networks of several depths (He et al. 2015, figure 6).",
      usage: "resnet study degradation [options]",
      discussion: """
        Are deeper plain networks worse on their own training images, and deeper residual networks not? \(folder)
        """ + "\n\n"
          + examples(
            "resnet study degradation --minutes 60", "resnet study degradation --depths 20,56 --seeds 3 --epochs 10",
            "resnet study degradation --data ~/cifar-10-batches-bin --depths 20,32,44,56"))

    @OptionGroup var options: StudyOptions

    private func networks() throws -> [StudyPlan.Network] {
      try ["plain", "resnet"].flatMap { family in
        try resnet.networks(options.depths(20, 56), atLeast: 2) { [StudyPlan.Network("\(family)\($0)")] }
      }
    }

    func validate() throws { _ = try networks() }

    func run() throws { try StudyRunner(.degradation, networks(), options).run() }
  }

  struct Gradients: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Compare gradients and responses of layers with and without shortcuts and batch normalization.",
      usage: "resnet study gradients [options]",
      discussion: """
        Do gradients vanish in plain networks (He et al. 2015, section 4.1), and how strong are the responses of layers \
        (figure 7)? Four networks are trained: residual and plain, with batch normalization and without. A network that diverges \
        is a result. \(folder)
        """ + "\n\n"
          + examples(
            "resnet study gradients --epochs 3", "resnet study gradients --depths 20 --learning-rate 0.01 --epochs 5",
            "resnet study gradients --depths 110 --minutes 30"))

    @OptionGroup var options: StudyOptions

    private func networks() throws -> [StudyPlan.Network] {
      try resnet.networks(options.depths(56)) { depth in
        BlockNormalization.allCases.flatMap { normalization in
          ["plain", "resnet"].map { family in
            StudyPlan.Network("\(family)\(depth)", normalization == .batch ? "bn" : "none") { $0.normalization = normalization }
          }
        }
      }
    }

    func validate() throws { _ = try networks() }

    func run() throws { try StudyRunner(.gradients, networks(), options).run() }
  }

  struct Depth: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Train residual networks of growing depth (He et al. 2015, table 6).", usage: "resnet study depth [options]",
      discussion: """
        Does the error fall with more layers? Networks of more than \(deepest) layers recompute their activations, which takes \
        less memory and changes no result. \(folder)
        """ + "\n\n"
          + examples(
            "resnet study depth --minutes 120", "resnet study depth --depths 20,110,1202 --epochs 10",
            "resnet study depth --data ~/cifar-10-batches-bin --seeds 2"))

    /// Largest number of layers whose activations are kept.
    static let deepest = 200

    @OptionGroup var options: StudyOptions

    private func networks() throws -> [StudyPlan.Network] {
      try resnet.networks(options.depths(20, 32, 44, 56, 110), atLeast: 2) {
        [StudyPlan.Network("resnet\($0)", recompute: $0 > Self.deepest)]
      }
    }

    func validate() throws { _ = try networks() }

    func run() throws { try StudyRunner(.depth, networks(), options).run() }
  }

  struct Shortcuts: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Train a residual network with shortcuts A, B and C (He et al. 2015, table 3).",
      usage: "resnet study shortcuts [options]",
      discussion: """
        Do projections help? A pads with zeros where the shape changes, B projects there, and C projects in every block. \
        \(folder)
        """ + "\n\n"
          + examples(
            "resnet study shortcuts --epochs 10", "resnet study shortcuts --depths 32 --seeds 3",
            "resnet study shortcuts --data ~/cifar-10-batches-bin --minutes 90"))

    @OptionGroup var options: StudyOptions

    private func networks() throws -> [StudyPlan.Network] {
      try resnet.networks(options.depths(20)) { depth in
        ShortcutOption.allCases.map { shortcut in
          StudyPlan.Network("resnet\(depth)", shortcut.rawValue) { $0.shortcut = shortcut }
        }
      }
    }

    func validate() throws { _ = try networks() }

    func run() throws { try StudyRunner(.shortcuts, networks(), options).run() }
  }
}

extension StudyPlan.Network {
  /// A network for small images, whose numbers of classes and channels follow from the data set.
  /// - Parameters:
  ///   - variant: what its name in tables adds to that of the model; nil for nothing.
  ///   - change: sets options of the network.
  fileprivate init(
    _ name: String, _ variant: String? = nil, recompute: Bool = false, _ change: (inout ModelConfiguration) -> Void = { _ in }
  ) {
    var model = ModelConfiguration(name: name, classes: 1)
    change(&model)
    self.init(variant.map { "\(name)-\($0)" } ?? name, model, recompute: recompute)
  }
}
