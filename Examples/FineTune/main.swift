// Fine-tunes pretrained weights on a folder of photographs, one folder a class, and classifies one of them.
//
//     swift run -c release FineTune resnet18.pth flowers rose.jpg [network]
//
// The network is only needed where the weights fit several.

import Glibc
import ResNetKit

let arguments = Array(CommandLine.arguments.dropFirst())
guard (3...4).contains(arguments.count) else {
  print("name weights, a folder of photographs, and an image")
  exit(64)
}
let network = arguments.count == 4 ? arguments[3] : nil
let session = try TrainingSession(network, on: .folder(arguments[1]), from: arguments[0]) { run in
  run.epochs = 2
  run.batchSize = 16
  run.frozen = ["conv1", "bn1", "layer1"]
}
for note in session.notes { print(note) }
try session.train { event in
  if case .epoch(let epoch) = event { print("epoch \(epoch.epoch)  validation accuracy \(epoch.validationAccuracy)") }
}
let best = try ImageClassifier(session.best).classify(arguments[2]).best
print("\(arguments[2]): \(best.name), \(best.probability)")
