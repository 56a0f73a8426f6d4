/// Command lines whose weights cannot be imported, exported or run.
extension WrongInvocationTests {
  static let exchanges = [
    Wrong("import", 64, "<file>"), Wrong("import ''", 64, "<file>"), Wrong("import bare.safetensors extra", 64, "'extra'"),
    Wrong("import bare.safetensors --output ''", 64, "--output"), Wrong("import bare.safetensors --model vgg16", 64, "'vgg16'"),
    Wrong("import bare.safetensors --shortcut A", 64, "--shortcut", "--model"),
    Wrong("import bare.safetensors --output refused", 64, "bare.safetensors", "resnet8 or plain8", "--model"),
    Wrong("import bare.safetensors --model resnet8", 64, "bare.safetensors", "--output"),
    Wrong("import images.safetensors --output refused", 1, "images.safetensors", "conv1.weight"),
    Wrong("import missing.pth --output refused", 1, "missing.pth", "No such file"),
    Wrong("import nothing --output refused", 1, "nothing", "folder"), Wrong("import empty --output refused", 1, "empty"),
    Wrong("import garbage.safetensors --output refused", 1, "garbage.safetensors"),
    Wrong("import weights.pth --output refused", 1, "weights.pth", "zip"),
    Wrong("import legacy.pth --output refused", 1, "legacy.pth", "ends early"),
    Wrong("import truncated.safetensors --model resnet8 --output refused", 1, "truncated.safetensors", "truncated"),
    Wrong(
      "import bare.safetensors --model resnet14 --output refused", 1, "bare.safetensors", "30 missing",
      "'layer1.1.conv1.weight'", "…"),
    Wrong("import surplus.safetensors --model resnet8 --output refused", 1, "surplus.safetensors", "'layer9.weight'"),
    Wrong("import shape.safetensors --model resnet8 --output refused", 1, "shape.safetensors", "'fc.bias' is [3]", "[1]"),
    Wrong("import images.safetensors --model resnet8 --output refused", 1, "images.safetensors", "conv1.weight"),
    Wrong("import not-finite.safetensors --model resnet8 --output refused", 1, "not-finite.safetensors", "fc.bias"),
    Wrong("import metadata.safetensors --output refused", 1, "metadata.safetensors", "resnet"),
    Wrong(
      "import run/state-00000002.safetensors --model resnet8 --output refused", 1, "run/state-00000002.safetensors is the state",
      "last.safetensors"),
    Wrong("import bare.safetensors --model resnet8 --output /nowhere/x", 1, "/nowhere/x", "no folder /nowhere"),
    Wrong("import bare.safetensors --model resnet8 --output ./bare.safetensors", 64, "--output", "would be lost"),
    Wrong("export run/last.safetensors --output run/../run/last.safetensors", 64, "--output", "would be lost"),
    Wrong("import bare.safetensors --model resnet8 --output nothing", 1, "nothing", "not a regular file"),
    Wrong("import bare.safetensors --model resnet8 --output empty/x", 1, "empty is not a folder"),
    Wrong(
      "predict --checkpoint run/last.safetensors --tensors images.safetensors --output run/last.safetensors", 64,
      "would be lost"),
    Wrong(
      "predict --checkpoint run/last.safetensors --tensors images.safetensors --output ./images.safetensors", 64,
      "would be lost"),
    Wrong("predict --checkpoint run/last.safetensors --tensors images.safetensors --output empty/x", 1, "empty is not a folder"),
    Wrong(
      "evaluate --checkpoint run/last.safetensors --data images.safetensors --confusion run/last.safetensors", 64, "would be lost"
    ),
    Wrong(
      "evaluate --checkpoint run/last.safetensors --data images.safetensors --confusion images.safetensors", 64, "would be lost"),
    Wrong("run-graph model.onnx --tensors images.safetensors --output model.onnx", 64, "would be lost"),
    Wrong("import double.safetensors --model resnet8 --output refused", 1, "double.safetensors", "'fc.bias'", "not finite"),
    Wrong(
      "import variance.safetensors --model resnet8 --output refused", 1, "variance.safetensors", "bn1.running_var", "negative"),
    Wrong("export huge.safetensors --model resnet8 --fold --output refused.onnx", 1, "'conv1'", "without --fold"),
    Wrong("import control.safetensors --model resnet8 --output refused", 1, "control.safetensors", "\\u{1B}[31m\\n"),

    Wrong("export", 64, "<file>"), Wrong("export run/last.safetensors", 64, "--output"),
    Wrong("export '' --output x.safetensors", 64, "<file>"), Wrong("export x --output ''", 64, "--output"),
    Wrong("export run/last.safetensors --output weights.h5", 64, "weights.h5", ".safetensors"),
    Wrong("export run/last.safetensors --output safetensors", 64, "'safetensors'", ".safetensors"),
    Wrong("export missing --output refused.safetensors", 1, "missing", "No such file"),
    Wrong("export bare.safetensors --output refused.safetensors", 64, "bare.safetensors", "--model"),
    Wrong("export lacking.safetensors --model resnet8 --output refused.safetensors", 1, "1 missing: 'layer1.0.bn1.weight'"),
    Wrong("export run/last.safetensors --output /dev/null/x.safetensors", 1, "/dev/null/x.safetensors"),

    Wrong("export run/last.safetensors --fold --output x.safetensors", 64, "--fold", ".onnx"),
    Wrong("export garbage.safetensors --output refused.onnx", 1, "garbage.safetensors"),
    Wrong("export run/last.safetensors --output /nowhere/x.onnx", 1, "/nowhere/x.onnx", "no folder /nowhere"),
    Wrong(
      "train --dataset tensors --data images.safetensors --init model.onnx --output refused", 1, "model.onnx", "resnet predict"),
    Wrong("import model.onnx --output refused", 1, "model.onnx", "resnet predict"),
    Wrong("export model.onnx --output refused.safetensors", 1, "model.onnx", "ONNX"),
    Wrong("predict --checkpoint model.onnx --tensors images.safetensors --output refused --model resnet8", 64, "--model"),
    Wrong(
      "predict --checkpoint model.onnx --tensors images.safetensors --output refused --precision bf16", 64, "--precision bf16"),
    Wrong("predict --checkpoint model.onnx --tensors images.safetensors --output refused --device opencl/2", 64, "one device"),
    Wrong("predict --checkpoint model.onnx --tensors color.safetensors --output refused", 1, "color.safetensors", "3"),
    Wrong("predict --checkpoint damaged.onnx --tensors images.safetensors --output refused", 1, "damaged.onnx", "ends within"),
    Wrong("predict --checkpoint missing.onnx --tensors images.safetensors --output refused", 1, "missing.onnx", "No such file"),
    Wrong("run-graph model.onnx --tensors images.safetensors --output refused", 1, "model.onnx", "'input' is not given"),

    Wrong("predict", 64, "name images"), Wrong("predict --checkpoint run/last.safetensors", 64, "--tensors"),
    Wrong("predict --checkpoint run/last.safetensors --tensors images.safetensors", 64, "--output"),
    Wrong("predict --checkpoint '' --tensors x --output y", 64, "--checkpoint"),
    Wrong("predict --checkpoint x --tensors x --output y --batch-size 0", 64, "--batch-size 0"),
    Wrong("predict --checkpoint x --tensors x --output y --device gpu", 64, "--device"),
    Wrong("predict --checkpoint x --tensors x --output y --precision bf16 --device cpu", 64, "--precision bf16"),
    prediction("missing.safetensors", "No such file"), prediction("run/last.safetensors", "images [N, H, W, C]"),
    prediction("channels-first.safetensors", "[8, 1, 8, 8] looks like [N, C, H, W]"),
    prediction("color.safetensors", "3"), prediction("flat.safetensors", "[8, 64]"),
    prediction("integers.safetensors", "int32"),
    prediction("no-images.safetensors", "[0, 8, 8, 1]"), prediction("nan.safetensors", "finite"),
    Wrong("predict --checkpoint lacking.safetensors --model resnet8 --tensors images.safetensors --output x", 1, "lacking"),
    Wrong(
      "predict --checkpoint run/last.safetensors --tensors images.safetensors --output /nowhere/x", 1, "/nowhere/x",
      "no folder /nowhere"),
  ]

  private static func prediction(_ images: String, _ names: String...) -> Wrong {
    Wrong(
      line: "predict --checkpoint run/last.safetensors --tensors \(images) --output refused", code: 1, names: [images] + names)
  }
}
