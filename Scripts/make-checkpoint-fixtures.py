#!/usr/bin/env python3
"""Writes small checkpoints with torch.save, and the tensors expected from reading them as safetensors.

    python3 Scripts/make-checkpoint-fixtures.py

Needs torch, numpy and safetensors (made with torch 2.13). Random seeds are fixed. NAME.pth and the expected tensors,
NAME.safetensors, go to Tests/FormatsTests/Fixtures. A network with images and PyTorch's logits goes to
Tests/CommandLineTests/Fixtures.
"""

import argparse
import collections
import datetime
import os
import pathlib
import sys
from collections import OrderedDict

import numpy
import torch
from safetensors.torch import save_file

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "Benchmarks"))
import torch_models  # noqa: E402

# Element types after reading, where this project does not keep the type of the file.
DECODED = {
    torch.float16: torch.float32, torch.bfloat16: torch.float32, torch.int8: torch.int32, torch.int16: torch.int32,
    torch.uint16: torch.int32, torch.bool: torch.uint8,
}


def save(folder, name, checkpoint, tensors, **options):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.pth"
    torch.save(checkpoint, path, **options)
    expected = {
        name: tensor.detach().to(DECODED.get(tensor.dtype, tensor.dtype)).clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    save_file(expected, folder / f"{name}.safetensors")
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes")


def element_types():
    """Returns every element type at its limits. PyTorch keeps some types, such as uint16, in storages without a type."""
    tensors = {}
    for dtype in [torch.float16, torch.bfloat16, torch.float32, torch.float64]:
        limits = torch.finfo(dtype)
        values = [0.0, -0.0, 1.0, -1 / 3, limits.max, limits.min, limits.tiny, limits.smallest_normal / 4, float("inf")]
        tensors[str(dtype)] = torch.tensor(values, dtype=dtype)
    for dtype in [torch.uint8, torch.int8, torch.int16, torch.uint16, torch.int32, torch.int64]:
        limits = torch.iinfo(dtype)
        tensors[str(dtype)] = torch.tensor([limits.min, 0, 1, limits.max - 1, limits.max], dtype=dtype)
    tensors["torch.bool"] = torch.tensor([True, False, True])
    return tensors


def views():
    base = torch.arange(360, dtype=torch.float32).sqrt()
    filters = torch.randn(4, 3, 2, 5, generator=torch.Generator().manual_seed(1))
    shared = torch.arange(12, dtype=torch.int32)
    return OrderedDict(
        whole=base, matrix=base.view(18, 20), transposed=base.view(18, 20).t(), slice=base[7:19],
        steps=base.view(18, 20)[3::4, 1:17:5], expanded=base[5:8].unsqueeze(1).expand(3, 4), scalar=base[11],
        overlapping=base.as_strided((6, 5, 4), (7, 2, 3), 9), empty=base[3:3], emptyMatrix=torch.empty(0, 3),
        channelsLast=filters.contiguous(memory_format=torch.channels_last), permuted=filters.permute(2, 0, 3, 1)[1:],
        oneRow=base.as_strided((1, 4), (10**15, 2)), halves=shared.view(2, 6)[:, 3:], number=torch.tensor(7, dtype=torch.int64),
        bfloat16=filters.bfloat16()[:, ::2].transpose(0, 3), bytes=torch.arange(24, dtype=torch.uint8).view(2, 3, 4).flip(0).mT,
    )


def containers():
    """Returns a training program's checkpoint: weights under the prefixes of two wrappers, among many other objects."""
    model = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3), torch.nn.Linear(3, 2))
    generator = torch.Generator().manual_seed(2)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    tensors = dict(model.state_dict())
    weights = torch.nn.DataParallel(model).state_dict()
    weights["module.parameter"] = tensors["parameter"] = torch.nn.Parameter(torch.tensor([1.5, -2.5]))
    weights = OrderedDict((f"_orig_mod.{name}", tensor) for name, tensor in weights.items())
    checkpoint = {
        "epoch": 3, "best": 0.25, "negative": -(1 << 40), "huge": 1 << 80, "word": 70000, "done": True, "none": None,
        "name": "línea\n", "list": [1, [2, "x"], ()], "size": torch.Size([3, 4]), "device": torch.device("cuda:0"),
        "dtype": torch.float16, "nested": {"a": {"b": {}}}, 5: "a key that is a number", "optimizer": sgd.state_dict(),
        "rates": [0.1] * 5, "losses": torch.zeros(3),
    }
    return checkpoint, weights, tensors


def network():
    """Returns a ResNet-8 whose tensors are overlapping views of two small storages, and its images and logits."""
    model = torch_models.build("resnet8", classes=5, channels=2)
    generator = torch.Generator().manual_seed(3)
    signed = (torch.randn(4096, generator=generator) * 0.1).bfloat16()
    positive = (torch.rand(128, generator=generator) + 0.5).bfloat16()
    weights = OrderedDict()
    for index, (name, tensor) in enumerate(model.state_dict().items()):
        if tensor.dim() == 4:
            weights[name] = signed.as_strided(tensor.shape, (7, 51, 3, 1), index)
        elif tensor.dim() == 2:
            weights[name] = signed.as_strided(tensor.shape, (1, 5), index)
        elif tensor.dim() == 0:
            weights[name] = torch.tensor(index)
        else:
            base = positive if name.endswith(("running_var", "weight")) else signed
            weights[name] = base[index:index + len(tensor)]
    model.load_state_dict(weights)
    images = torch.randn(3, 2, 9, 11, generator=generator)
    with torch.no_grad():
        logits = model.eval()(images)
    return weights, {"images": images.permute(0, 2, 3, 1).contiguous(), "logits": logits}


def unknown_objects():
    """Returns a checkpoint whose weights stand beside objects of many kinds, one of them a shell command."""
    tensors = {"weight": torch.arange(6.0).view(2, 3), "bias": torch.tensor([1.5, -2.5])}
    return tensors, {
        "weights": tensors, "arguments": argparse.Namespace(lr=0.1, data="/x"), "milestones": collections.Counter([30, 60, 30]),
        "scalar": numpy.float64(0.7), "array": numpy.arange(5.0), "path": pathlib.PurePosixPath("/x"),
        "date": datetime.datetime(2024, 1, 1), "seen": collections.defaultdict(int, a=1), "random": torch.get_rng_state(),
        "set": {"a", "b"}, "frozen": frozenset([1]), "bytes": b"abc", "complex": 1 + 2j, "big": 10**30, "slice": slice(1, 2),
        "complexTensor": torch.zeros(2, dtype=torch.complex64), "type": numpy.dtype("float32"), "code": Malicious(),
        "bool": numpy.bool_(True),
    }


class Malicious:
    """Pickles as a shell command."""

    def __reduce__(self):
        return os.system, ("touch malicious-was-run",)


def main():
    formats, commands = (ROOT / "Tests" / target / "Fixtures" for target in ["FormatsTests", "CommandLineTests"])
    save(formats, "element-types", element_types(), element_types())
    save(formats, "views", views(), views())
    checkpoint, weights, tensors = containers()
    save(formats, "containers", checkpoint | {"state_dict": weights}, tensors)
    for protocol in [3, 4, 5]:
        checkpoint |= {"bytes": b"\0\xff"} | ({"set": {1, 2}} if protocol > 3 else {})
        torch.save(checkpoint | {"model_state_dict": weights}, formats / f"protocol{protocol}.pth", pickle_protocol=protocol)
    torch.save(views(), formats / "legacy.pth", _use_new_zipfile_serialization=False)
    tensors, checkpoint = unknown_objects()
    save(formats, "unknown-objects", checkpoint, tensors)
    torch.save(checkpoint, formats / "unknown-objects-legacy.pth", _use_new_zipfile_serialization=False)
    weights, results = network()
    save(commands, "resnet8", {"model": weights}, results)
    # The command stands beside the weights in the first file, and among them in the second.
    torch.save({"model": weights, "epoch": Malicious()}, commands / "malicious.pth")
    torch.save({"model": weights | {"fc.bias": Malicious()}}, commands / "malicious-inside.pth")
    # This checkpoint has a program's weights, their moving average, and a loss with its own weight.
    twins = {
        "epoch": 3,
        "state_dict": {f"model.{name}": tensor for name, tensor in weights.items()} | {"criterion.weight": torch.ones(5)},
        "ema": {"decay": 0.999, "shadow": weights | {"fc.bias": weights["fc.bias"].float() + 1}},
        "optimizer": {"state": {}, "param_groups": []},
    }
    torch.save(twins, commands / "twins.pth")


if __name__ == "__main__":
    main()
