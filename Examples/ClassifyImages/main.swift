// Tells what images show, with any checkpoint: this project's, PyTorch's (.pth, .safetensors) or an ONNX model.
//
//     swift run -c release ClassifyImages resnet50.pth cat.jpg holiday/

import Glibc
import ResNetKit

let arguments = CommandLine.arguments.dropFirst()
guard let checkpoint = arguments.first, arguments.count > 1 else {
  print("name a checkpoint and images")
  exit(64)
}
let classifier = try ImageClassifier(checkpoint)
for image in try classifier.classify(Array(arguments.dropFirst()), top: 3) {
  print(image.path)
  for candidate in image.candidates { print("  \(candidate.name)  \(candidate.probability)") }
}
