// A training loop of one's own, with a layer of one's own: a small network on images that are made by the program.
//
//     swift run -c release CustomLoop [cpu]

import ResNetKit

/// Layer of one's own: y = x·w, a matrix without a bias, with its gradients.
struct Projection {
  let weight: Parameter

  init(_ scope: Scope, inputs: Int, outputs: Int) {
    weight = scope.declare("weight", [inputs, outputs], .linearWeight, .uniform(bound: 1 / Double(inputs).squareRoot()))
  }

  /// Maps x [N,C] → y [N,K].
  func callAsFunction(_ x: Variable, _ pass: Pass) throws -> Variable {
    let (backend, input, slot, weight) = (pass.backend, x.value, x.slot, weight)
    let y = try backend.batchTensor([x.shape[0], weight.shape[1]])
    try backend.multiply(input, transposed: false, weight.value, transposed: false, into: y)
    return pass.record(y) { dy in
      try backend.multiply(input, transposed: true, dy, transposed: false, into: weight.gradient)
      guard let slot else { return }
      let dx = try backend.batchTensor(input.shape)
      try backend.multiply(dy, transposed: false, weight.value, transposed: true, into: dx)
      try slot.add(dx, on: backend)
    }
  }
}

/// Network of one's own: a convolution, the project's residual sum, and two projections.
struct Network {
  let store = ParameterStore()
  let first, second: ConvolutionUnit
  let hidden, head: Projection

  init(channels: Int, classes: Int) {
    let root = store.root
    first = ConvolutionUnit(root / "conv1", root / "bn1", inputs: channels, outputs: 16, window: 3, stride: 2)
    second = ConvolutionUnit(root / "conv2", root / "bn2", inputs: 16, outputs: 16, window: 3)
    hidden = Projection(root / "hidden", inputs: 16, outputs: 32)
    head = Projection(root / "head", inputs: 32, outputs: classes)
  }

  func callAsFunction(_ images: Variable, _ pass: Pass) throws -> Variable {
    let x = try first(images, relu: true, pass)
    let y = try second(x, residual: x, relu: true, pass)
    return try head(pass.relu(try hidden(pass.globalAveragePool(y), pass)), pass)
  }
}

let device = CommandLine.arguments.contains("cpu") ? Device.reference : .best
let backend = try device.open()
let images = SyntheticImages(classes: 4).splits().train.prefix(256)
let data = try BatchLoader(images, on: backend)
let network = Network(channels: images.shape[3], classes: images.classes.count)
try network.store.allocate(on: backend, seed: 1)
let optimizer = try Optimizer(network.store, .init(.sgd, weightDecay: 1e-4))

for epoch in 0..<4 {
  let plan = EpochPlan(seed: 1, epoch: epoch, count: images.count, shuffle: true, augmentation: nil)
  let loaded = try data.load(plan, batches: plan.batches(of: 32, keepShort: false))
  let sums = try backend.tensor([3])
  try backend.fill(sums, with: 0)
  for index in loaded.batches.indices {
    guard let (x, labels) = try loaded.batch(index) else { continue }
    let pass = Pass(on: backend, mode: .training)
    let logits = try network(Variable(x), pass)
    try pass.crossEntropy(logits, labels: labels, metrics: sums)
    try withExtendedLifetime(logits) { try pass.backward() }
    try optimizer.accumulate()
    try optimizer.step(learningRate: 0.05)
  }
  let values = try backend.download(sums).floats
  print("epoch \(epoch + 1)  loss \(values[0] / 256)  accuracy \(values[1] / 256)")
}
