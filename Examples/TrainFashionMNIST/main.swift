// Trains ResNet-20 on Fashion-MNIST for one epoch, and keeps the best network.
//
//     swift run -c release TrainFashionMNIST [folder of the data set]

import ResNetKit

let folder = CommandLine.arguments.dropFirst().first
let session = try TrainingSession("resnet20", on: .fashionMNIST(folder)) { run in
  run.epochs = 1
}
for note in session.notes { print(note) }
try session.train { event in
  switch event {
  case .step(let step): print("step \(step.step) of \(session.progress.total)  loss \(step.loss)")
  case .epoch(let epoch): print("epoch \(epoch.epoch)  validation accuracy \(epoch.validationAccuracy)")
  case .progress: break
  }
}
try session.best.save("clothes.safetensors")
print("the network is in clothes.safetensors")
