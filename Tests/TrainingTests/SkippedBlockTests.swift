import CPUBackend
import Compute
import Models
import NN
import OpenCLBackend
import Support
import Testing

/// Tests steps that skip blocks on a device against the reference in double precision.
@Suite struct SkippedBlockTests {
  private func gradients(
    _ name: String, _ shortcut: ShortcutOption, skipping skipped: Set<Int>, on backend: any Backend
  ) throws -> [String: [Double]] {
    let model = try ResNet(ModelConfiguration(name: name, classes: 3, channels: 2, shortcut: shortcut))
    try model.store.allocate(on: backend, seed: 5)
    let optimizer = try Optimizer(model.store, Optimizer.Options())
    var random = Philox(seed: 1, stream: 2)
    let shape: Shape = [3, 9, 7, 2]
    let images = try backend.upload(HostTensor((0..<shape.count).map { _ in random.uniform() - 0.5 }, shape: shape))
    let labels = try backend.upload(HostTensor([0, 2, 1] as [Int32], shape: [3]))
    let metrics = try backend.tensor([3])
    try backend.fill(metrics, with: 0)
    try model.accumulateGradients(images: images, labels: labels, skipping: skipped, metrics: metrics, optimizer)
    let found = try model.store.parameters.map { ($0.name, try backend.download($0.gradient).doubles) }
    return Dictionary(uniqueKeysWithValues: found)
  }

  /// Few and small activations make it unlikely that rounding moves one of them across zero, where ReLU's gradient jumps.
  @Test(arguments: ["resnet8", "preresnet8"], [ShortcutOption.padding, .projection])
  func openCLFollowsTheReference(_ name: String, _ shortcut: ShortcutOption) throws {
    let device = try OpenCLBackend(device: DeviceList.find("opencl").device)
    for skipped in [[0], [1, 2], [0, 1, 2]] as [Set<Int>] {
      let expected = try gradients(name, shortcut, skipping: skipped, on: CPUBackend(precision: .float64))
      let found = try gradients(name, shortcut, skipping: skipped, on: device)
      #expect(found.count == expected.count && found.count > 10)
      for (parameter, values) in expected {
        let others = try #require(found[parameter])
        let error = zip(values, others).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
        let norm = values.reduce(0) { $0 + $1 * $1 }.squareRoot()
        #expect(error <= 1e-4 * norm + 1e-7, "\(parameter) without blocks \(skipped.sorted()): \(error) of \(norm)")
      }
    }
  }
}
