import Compute
import Formats
import Foundation
import Support

/// A folder with small valid files and every kind of invalid one, for the wrong invocations. Removed when the tests end.
enum Samples {
  static let folder: String = {
    atexit { try? FileManager.default.removeItem(atPath: Samples.path) }
    do { try make(in: path) } catch { preconditionFailure("[Samples] \(error)") }
    return path
  }()
  private static let path = FileManager.default.temporaryDirectory.appendingPathComponent("resnet-samples-\(UUID().uuidString)")
    .path

  /// Path of 150 images in the form of the other ones. Runs on either need the same kernels.
  static var many: String { "\(folder)/many.safetensors" }

  /// A measurement that needs the kernels of the sample run.
  static let benchModel = "bench model resnet8 --batch-size 4 --image-size 8 --channels 1"

  /// Options of a run that takes a second.
  static let run = "train --dataset tensors --data images.safetensors --model resnet8 --batch-size 4 --epochs 1"

  private static func make(in folder: String) throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    func write(_ name: String, _ bytes: [UInt8]) throws {
      let url = URL(fileURLWithPath: "\(folder)/\(name)")
      try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(bytes).write(to: url)
    }
    func write(_ name: String, _ text: String) throws { try write(name, Array(text.utf8)) }

    try imageFiles(folder)
    try write("empty", "")
    try write("bench-seconds.json", "{\"device\":\"any\",\"kernels\":[{\"name\":\"relu [1]\",\"seconds\":0}]}")
    try write("garbage.safetensors", (0..<4096).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 11) })
    try write("weights.pth", [0x50, 0x4B, 0x03, 0x04] + [UInt8](repeating: 7, count: 100))
    try write("legacy.pth", [0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19])
    try FileManager.default.createDirectory(atPath: "\(folder)/nothing", withIntermediateDirectories: true)
    try idxFolders(write)
    try write("cifar-short/test_batch.bin", [UInt8](repeating: 1, count: 3000))
    for batch in 1...5 { try write("cifar-short/data_batch_\(batch).bin", [UInt8](repeating: 1, count: 3000)) }
    try write("cifar-label/train.bin", [UInt8](repeating: 200, count: 3074))
    try write("cifar-label/test.bin", [UInt8](repeating: 200, count: 3074))
    for name in ["gather_batch.cl", "convolution.cl", "batch_norm.cl"] { try write("kernels/\(name)", "this is not OpenCL C\n") }
    try write("kernels/vector.h", "")

    let result = try Program.run("\(run) --output run".split(separator: " ").map(String.init), in: folder)
    guard result.code == 0 else { throw Surprise("the sample run failed: \(result.err)") }
    try weightFiles(folder)
    let exported = try Program.run(["export", "run/last.safetensors", "--output", "model.onnx"], in: folder)
    guard exported.code == 0 else { throw Surprise("the sample's export failed: \(exported.err)") }
    try write("damaged.onnx", Array(try contents("\(folder)/model.onnx").dropLast(1000)))
    try damagedRuns(folder, write)
  }

  private static func imageFiles(_ folder: String) throws {
    var random = Philox(seed: 1, stream: 0)
    func images(_ count: Int, channels: Int = 1, first: Float? = nil) -> HostTensor {
      var values = (0..<count * 64 * channels).map { _ in random.uniform() }
      if let first { values[0] = first }
      return HostTensor(values, shape: [count, 8, 8, channels])
    }
    func labels(_ values: [Int32]) -> HostTensor { HostTensor(values, shape: [values.count]) }
    let (good, eight) = (images(8), labels([0, 1, 2, 0, 1, 2, 0, 1]))
    let files: [(String, [(String, HostTensor)])] = [
      (
        "images",
        [("images", good), ("labels", eight), ("validation_images", images(4)), ("validation_labels", labels([0, 1, 2, 2]))]
      ),
      (
        "many",
        [
          ("images", images(150)), ("labels", labels((0..<150).map { $0 % 3 })), ("validation_images", images(4)),
          ("validation_labels", labels([0, 1, 2, 2])),
        ]
      ),
      ("color", [("images", images(8, channels: 3)), ("labels", eight)]),
      ("more-classes", [("images", good), ("labels", labels([0, 1, 2, 3, 4, 5, 6, 7]))]),
      ("one-class", [("images", good), ("labels", labels([0, 0, 0, 0, 0, 0, 0, 0]))]),
      ("negative-label", [("images", good), ("labels", labels([0, 1, 2, -1, 1, 2, 0, 1]))]),
      ("large-label", [("images", good), ("labels", labels([0, 1, 2, 70000, 1, 2, 0, 1]))]),
      ("float-labels", [("images", good), ("labels", HostTensor([Float](repeating: 0, count: 8), shape: [8]))]),
      ("few-labels", [("images", good), ("labels", labels([0, 1]))]),
      ("no-labels", [("images", good)]),
      ("other-names", [("x", good), ("y", eight)]),
      ("nan", [("images", images(8, first: .nan)), ("labels", eight)]),
      ("infinite", [("images", images(8, first: .infinity)), ("labels", eight)]),
      ("flat", [("images", good.reshaped([8, 64])), ("labels", eight)]),
      ("channels-first", [("images", good.reshaped([8, 1, 8, 8])), ("labels", eight)]),
      ("no-images", [("images", HostTensor([Float](), shape: [0, 8, 8, 1])), ("labels", labels([]))]),
      ("integers", [("images", HostTensor([Int32](repeating: 1, count: 512), shape: [8, 8, 8, 1])), ("labels", eight)]),
      ("half-validation", [("images", good), ("labels", eight), ("validation_images", good)]),
      (
        "other-validation",
        [
          ("images", good), ("labels", eight), ("validation_images", images(8, channels: 3)), ("validation_labels", eight),
        ]
      ),
      ("one-pixel", [("images", HostTensor([Float](repeating: 1, count: 1), shape: [1, 1, 1, 1])), ("labels", labels([1]))]),
    ]
    for (name, tensors) in files { try Safetensors.write(tensors, metadata: [:], to: "\(folder)/\(name).safetensors") }
    let bytes = [UInt8](try contents("\(folder)/images.safetensors"))
    try Data(bytes.dropLast(100)).write(to: URL(fileURLWithPath: "\(folder)/truncated.safetensors"))
    try Data(bytes.prefix(40)).write(to: URL(fileURLWithPath: "\(folder)/truncated-header.safetensors"))
  }

  /// Writes MNIST's four files into each folder, with one error per folder.
  private static func idxFolders(_ write: (String, [UInt8]) throws -> Void) throws {
    let images: [UInt8] = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 4] + [UInt8](repeating: 9, count: 32)
    let labels: [UInt8] = [0, 0, 8, 1, 0, 0, 0, 2, 3, 4]
    // This gzip file has one stored block that ends early.
    let gzip: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255, 1, 48, 0, 207, 255] + images.prefix(20)
    let folders: [(String, train: [UInt8], trainLabels: [UInt8])] = [
      ("idx-magic", [1, 2, 3, 4] + images.dropFirst(4), labels), ("idx-short", Array(images.dropLast(5)), labels),
      ("idx-long", images + [1], labels), ("idx-label", images, Array(labels.dropLast()) + [10]),
      ("idx-count", images, [0, 0, 8, 1, 0, 0, 0, 1, 3]),
      ("idx-huge", [0, 0, 8, 3] + [UInt8](repeating: 255, count: 12), labels),
      ("idx-gzip", gzip, labels),
      ("idx-corrupt", [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255] + [UInt8](repeating: 255, count: 99), labels),
      ("idx-empty", [], labels),
    ]
    for folder in folders {
      try write("\(folder.0)/train-images-idx3-ubyte", folder.train)
      try write("\(folder.0)/train-labels-idx1-ubyte", folder.trainLabels)
      try write("\(folder.0)/t10k-images-idx3-ubyte", images)
      try write("\(folder.0)/t10k-labels-idx1-ubyte", labels)
    }
  }

  /// Writes files that may be given as weights, made from those of the sample run.
  private static func weightFiles(_ folder: String) throws {
    let good = try Safetensors.read("\(folder)/run/last.safetensors")
    func save(_ name: String, metadata: [String: String] = [:], _ change: (inout [String: HostTensor]) -> Void = { _ in }) throws
    {
      var tensors = good.tensors
      change(&tensors)
      try Safetensors.write(
        tensors.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }, metadata: metadata, to: "\(folder)/\(name).safetensors")
    }
    let bias = HostTensor([.nan, 0, 0] as [Float], shape: [3])
    try save("bare")
    try save("lacking") { $0["layer1.0.bn1.weight"] = nil }
    try save("surplus") { $0["layer9.weight"] = bias }
    try save("shape") { $0["fc.weight"] = HostTensor([Float](repeating: 0, count: 64), shape: [1, 64]) }
    try save("width") { $0["fc.weight"] = HostTensor([Float](repeating: 0, count: 32), shape: [1, 32]) }
    try save("not-finite") { $0["fc.bias"] = bias }
    try save("double") { $0["fc.bias"] = HostTensor([1e300, 0, 0] as [Double], shape: [3]) }
    func changed(_ name: String, to value: Float) throws -> HostTensor {
      guard let tensor = good.tensors[name] else { throw Surprise("the sample has no \(name)") }
      return HostTensor([Float](repeating: value, count: tensor.count), shape: tensor.shape)
    }
    let (variances, filter, scale) = (
      try changed("layer1.0.bn1.running_var", to: -1), try changed("conv1.weight", to: 3e38), try changed("bn1.weight", to: 100)
    )
    try save("variance") { $0["layer1.0.bn1.running_var"] = variances }
    try save("huge") { ($0["conv1.weight"], $0["bn1.weight"]) = (filter, scale) }
    try save("control") { $0["\u{1B}[31m\n"] = HostTensor([1, 2, 3] as [Int32], shape: [3]) }
    try save("integer-weights") { $0["fc.bias"] = HostTensor([1, 2, 3] as [Int32], shape: [3]) }
    try save("headless") { $0["fc.bias"] = nil }
    try save("metadata", metadata: ["resnet": "{}"])
    let description = good.metadata["resnet"] ?? ""
    try save(
      "absurd",
      metadata: ["resnet": description.replacingOccurrences(of: "\"channels\":1", with: "\"channels\":4611686018427387904")])
    for (name, known, other) in [
      ("no-size", "[8,8]", "[0,8]"), ("three-sizes", "[8,8]", "[8,8,8]"), ("two-means", "\"mean\":[0]", "\"mean\":[0,0]"),
      ("no-deviation", "\"deviation\":[1]", "\"deviation\":[0]"),
      ("no-resize", "[8,8]", "[8,8],\"evaluation\":{\"cropFraction\":-1}"),
      ("small-resize", "[8,8]", "[8,8],\"evaluation\":{\"resize\":4}"),
    ] {
      guard description.contains(known) else { throw Surprise("the description has no \(known): \(description)") }
      try save(name, metadata: ["resnet": description.replacingOccurrences(of: known, with: other)])
    }
    try Safetensors.write([], metadata: [:], to: "\(folder)/no-tensors.safetensors")
    try save("other-model", metadata: ["resnet": description.replacingOccurrences(of: "resnet8", with: "resnet9")])
    try save("other-data", metadata: ["resnet": description.replacingOccurrences(of: "\"tensors\"", with: "\"words\"")])
  }

  private static func damagedRuns(_ folder: String, _ write: (String, String) throws -> Void) throws {
    let files = FileManager.default
    let configuration = try String(contentsOfFile: "\(folder)/run/config.json", encoding: .utf8)
    func copy(_ name: String, _ old: String, _ new: String) throws {
      try files.copyItem(atPath: "\(folder)/run", toPath: "\(folder)/\(name)")
      guard configuration.contains(old) else { throw Surprise("config.json has no \(old)") }
      try write("\(name)/config.json", configuration.replacingOccurrences(of: old, with: new))
    }
    try copy("run-config", configuration, "{\"model\": 1}")
    try copy("run-text", configuration, "not JSON")
    try copy("run-model", "\"resnet8\"", "\"resnet14\"")
    func photographs(_ size: Int, _ evaluation: String) -> String {
      let normalization = "{\"range\" : 255, \"mean\" : [0], \"deviation\" : [1]}"
      return "\"photographs\" : {\"imageSize\" : \(size), \"evaluation\" : \(evaluation), \"normalization\" : \(normalization), "
        + "\"damaged\" : \"fail\"}, \"name\""
    }
    try copy("run-sizeless", "\"name\" : \"tensors\"", photographs(0, "{}") + " : \"tensors\"")
    try copy("run-resize", "\"name\" : \"tensors\"", photographs(8, "{\"resize\" : 4}") + " : \"tensors\"")
    try copy("run-bf16", "\"precision\" : \"fp32\"", "\"precision\" : \"bf16\"")
    try copy("run-newer", "\"version\" : 2", "\"version\" : 3")
    try copy("run-batch", "\"batchSize\" : 4", "\"batchSize\" : -4")
    try copy("run-words", "\"tensors\"", "\"words\"")
    try copy("run-classes", "\"classes\" : 3", "\"classes\" : 2")
    try copy("run-data", "images.safetensors", "gone.safetensors")
    try copy("run-truncated", "0", "0")
    let (first, newest) = ("state-00000000.safetensors", "state-00000002.safetensors")
    let state = [UInt8](try contents("\(folder)/run/\(newest)"))
    try Data(state.dropLast(9)).write(to: URL(fileURLWithPath: "\(folder)/run-truncated/\(newest)"))
    try files.removeItem(atPath: "\(folder)/run-truncated/\(first)")
    try copy("run-nowhere", "0", "0")
    for name in [first, newest] { try files.removeItem(atPath: "\(folder)/run-nowhere/\(name)") }
    try copy("run-weights", "0", "0")
    for name in [first, newest] { try files.removeItem(atPath: "\(folder)/run-weights/\(name)") }
    try files.copyItem(atPath: "\(folder)/run/last.safetensors", toPath: "\(folder)/run-weights/\(newest)")
    for (name, position) in [("run-epoch", "\"epoch\":-1"), ("run-step", "\"epoch\":0")] {
      try copy(name, "\"epochs\" : 1", "\"epochs\" : 3")
      for state in [first, newest] { try files.removeItem(atPath: "\(folder)/\(name)/\(state)") }
      let file = try Safetensors.read("\(folder)/run/\(newest)")
      let changed = (file.metadata["position"] ?? "").replacingOccurrences(of: "\"epoch\":1", with: position)
        .replacingOccurrences(of: "\"step\":2", with: "\"step\":5")
      let settings = try String(contentsOfFile: "\(folder)/\(name)/config.json", encoding: .utf8)
      try Safetensors.write(
        file.tensors.sorted { $0.key < $1.key }.map { ($0.key, $0.value) },
        metadata: ["position": changed, "state": "1", "configuration": settings],
        to: "\(folder)/\(name)/\(name == "run-step" ? "state-00000005.safetensors" : newest)")
    }
  }
}
