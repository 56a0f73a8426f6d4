import Foundation
import Testing
import resnet

/// Tests what the program suggests for wrong arguments, and how it finds the options that were given.
@Suite struct SuggestionTests {
  @Test(arguments: [
    ("train --batchsiz 3", "Unknown option '--batchsiz'. Did you mean '--batch-size'?"),
    ("train --batchsiz=3", "Unknown option '--batchsiz'. Did you mean '--batch-size'?"),
    ("train --bogus", "Unknown option '--bogus'"),
    ("trian", "Unexpected argument 'trian'. Did you mean 'train'?"), ("--bogus", "Unknown option '--bogus'"),
    ("bench modle", "Unexpected argument 'modle'. Did you mean 'model'?"), ("fly", "Unexpected argument 'fly'"),
    ("devices extra", "Unexpected argument 'extra'"),
    ("train --optimizer adam", "Please provide one of 'sgd', 'adamw' or 'lars'. Did you mean 'adamw'?"),
    ("train --optimizer shampoo", "Please provide one of 'sgd', 'adamw' or 'lars'."),
    ("train --schedule cosin", "Please provide one of 'constant', 'cosine', 'step' or 'one-cycle'. Did you mean 'cosine'?"),
    ("train --flip alternating", "Please provide one of 'random', 'alternate' or 'none'. Did you mean 'alternate'?"),
    ("train --dataset fashion_mnist", "unknown data set 'fashion_mnist'; the nearest is fashion-mnist; known are "),
    ("train --dataset imagenet", "unknown data set 'imagenet'; known are "),
    ("train --model resnet5O", "unknown model 'resnet5O'; the nearest is resnet50; known: "),
    ("train --model efficientnet_b0", "unknown model 'efficientnet_b0'; known: "),
  ])
  func theFirstLine(_ line: String, _ expected: String) throws {
    let text = try #require(CommandLineInterface.complaint(about: line.split(separator: " ").map(String.init)))
    let first = try #require(text.split(separator: "\n").first)
    // A message without a suggestion ends where it is expected to.
    let isOpen = expected.hasSuffix(" ")
    #expect(first.hasPrefix("Error: ") && (isOpen ? first.contains(expected) : first.hasSuffix(expected)), "\(text)")
  }

  /// `--resume` keeps a run's options: it refuses every other option by its name, so all of them are found as given.
  @Test func everyOptionOfARunIsFound() throws {
    // Options that do not belong to the run or are its files, the three options of the run that may change, and two that need --init.
    let others: Set = [
      "--save-every", "--keep-states", "--allow-config-change", "--allow-data-change", "--epochs", "--on-fault", "--device",
      "--math", "--tune",
      "--output", "--resume", "--log-every", "--show-augmentation", "--find-rate", "--profile",
      "--data", "--tensorboard", "--help", "--quiet", "--verbose", "--version", "--key", "--prefix",
    ]
    let values = [
      "learning-rate-scale": "fc=1", "color-jitter": "0.4", "dataset": "folder", "ema": "0.5", "momentum": "0.5",
      "stochastic-depth": "0.5", "validation-share": "0.5",
    ]
    var found: [String] = []
    for argument in try options(of: "train") {
      let names = try #require(argument["names"] as? [[String: String]]).filter { $0["kind"] == "long" }.compactMap { $0["name"] }
      for name in names where !others.contains("--\(name)") {
        let value = values[name] ?? (argument["allValues"] as? [String])?.first ?? (name.hasSuffix("fraction") ? "0.9" : "1")
        let arguments = ["train", "--resume", "run", "--\(name)"] + (argument["kind"] as? String == "option" ? [value] : [])
        let text = try #require(CommandLineInterface.complaint(about: arguments), "--\(name)")
        #expect(text.hasPrefix("Error: --resume keeps the run's own options: leave --\(name) out\n"), "\(arguments): \(text)")
        found.append(name)
      }
    }
    #expect(found.count > 40 && found.contains("no-augment") && found.contains("ema"))
  }

  /// Options that the help of a command shows, as the parser describes them.
  private func options(of command: String) throws -> [[String: Any]] {
    let all = try JSONSerialization.jsonObject(with: Data(CommandLineInterface.description.utf8)) as? [String: Any]
    let commands = try #require((all?["command"] as? [String: Any])?["subcommands"] as? [[String: Any]])
    let found = try #require(commands.first { $0["commandName"] as? String == command })
    return try #require(found["arguments"] as? [[String: Any]])
  }
}
