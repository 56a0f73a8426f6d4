import Formats
import Foundation
import Training

/// Gives a run the form of earlier versions: one state, without checksums, settings and a version.
/// - Parameter change: changes the position in the state, which is JSON.
func makeEarlier(_ run: RunFolder, _ change: (String) -> String = { $0 }) throws {
  let file = try Safetensors.read(run.statePath)
  for name in try FileManager.default.contentsOfDirectory(atPath: run.path) where name.hasPrefix("state-") {
    try FileManager.default.removeItem(atPath: "\(run.path)/\(name)")
  }
  try Safetensors.write(
    file.tensors.sorted { $0.key < $1.key }.map { ($0.key, $0.value) },
    metadata: ["position": change(file.metadata["position"] ?? "")], to: "\(run.path)/resume.safetensors")
}
