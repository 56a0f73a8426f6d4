import ArgumentParser
import Datasets
import Models
import OpenCLBackend
import ResNetKit
import Support
import Training

/// Completions of values in an interactive shell.
extension CompletionKind {
  /// Files with weights, and the folders of runs.
  static let weights = CompletionKind.file(extensions: ["safetensors", "pth", "pt", "bin", "onnx", "json"])
  static let safetensors = CompletionKind.file(extensions: ["safetensors"])
  static let models = CompletionKind.list(ModelConfiguration.knownNames)
  static let datasets = CompletionKind.list(DatasetKind.allCases.map(\.rawValue))
  /// Parts of every network.
  static let layers = CompletionKind.list(["conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc"])
  /// Devices of this machine, of which several may be separated by commas; the general names if OpenCL fails, as a completion
  /// cannot complain.
  static let devices = CompletionKind.custom { _, _, word in
    let value = word.hasPrefix("--") ? word.drop { $0 != "=" }.dropFirst() : word[...]
    let before = value.lastIndex(of: ",").map { value[...$0] } ?? ""
    let entries = ((try? DeviceList.all()) ?? []).map { ($0.selector, (try? $0.device.name) ?? "") }
    return ([("cpu", "the slow reference"), ("opencl", "the best device")] + entries).map { described("\(before)\($0)", $1) }
  }
  /// Runs under `runs/`; none if the folder cannot be read, as a completion cannot complain.
  static let runs = CompletionKind.custom { _, _, _ in
    ((try? RunFolder.all(in: RunFolder.home)) ?? []).map { described($0.path, "") }
  }

  /// Returns a completion in the form of the shell that asks for it.
  /// - Parameter description: text that zsh and fish show beside it; empty for none.
  private static func described(_ value: String, _ description: String) -> String {
    switch CompletionShell.requesting {
    case .zsh?: value.replacing("\\", with: "\\\\").replacing(":", with: "\\:") + (description.isEmpty ? "" : ":\(description)")
    case .fish?: value + (description.isEmpty ? "" : "\t\(description)")
    default: value
    }
  }
}
