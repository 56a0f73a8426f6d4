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
  /// Devices of this machine; the general names if OpenCL fails, as a completion cannot complain.
  static let devices = CompletionKind.custom { _, _, _ in
    ["cpu", "opencl"] + ((try? DeviceList.all().map(\.selector)) ?? [])
  }
  /// Runs under `runs/`; none if the folder cannot be read, as a completion cannot complain.
  static let runs = CompletionKind.custom { _, _, _ in (try? RunFolder.all(in: RunFolder.home).map(\.path)) ?? [] }
}
