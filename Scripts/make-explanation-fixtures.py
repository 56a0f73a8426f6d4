#!/usr/bin/env python3
"""Writes networks with the Grad-CAM maps that PyTorch computes for them.

    python3 Scripts/make-explanation-fixtures.py

Needs torch, numpy and safetensors (made with torch 2.13). Random seeds are fixed. The files go to
Tests/TrainingTests/Fixtures/explanations: NAME.safetensors with the images and maps of a network, and weights.safetensors with two
lists of numbers, `signed` and `positive`, in which all networks find their weights and running statistics.
"""

import pathlib
import sys
from collections import OrderedDict

import torch
from safetensors.torch import save_file
from torch.nn import functional as F

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "Benchmarks"))
import torch_models  # noqa: E402

CLASSES = 5
# Numbers in the list that filters are taken from; the largest filters reach to 34,000.
COUNT = 40000
# Name, shortcut, images as (count, height, width), and the deviation of the weights.
CASES = [("resnet8", "B", (2, 19, 27), 0.1), ("preresnet8", "B", (2, 19, 27), 0.1), ("resnet50", "B", (1, 67, 99), 0.04)]


def weights_of(model, signed, positive):
    """Returns weights whose tensors are overlapping views of two lists. Tensor number i begins at element i. An element of a filter
    [K,C,R,S] is 11·k + 3·c + 101·(r·S + s) elements further, one of a matrix [out,in] 3001·out + in, and one of a vector i."""
    weights = OrderedDict()
    for index, (name, tensor) in enumerate((n, t) for n, t in model.state_dict().items() if t.dim() > 0):
        if tensor.dim() == 4:
            weights[name] = signed.as_strided(tensor.shape, (11, 3, 101 * tensor.shape[3], 101), index)
        elif tensor.dim() == 2:
            weights[name] = signed.as_strided(tensor.shape, (3001, 1), index)
        else:
            base = positive if name.endswith(("running_var", "weight")) else signed
            weights[name] = base[index:index + len(tensor)]
    return weights


def grad_cam(model, images, labels):
    """Selvaraju et al. 2017, equations 1 and 2, for the result of the last stage. Returns logits and maps, [N,K] and [N,h,w]."""
    kept = []
    stage = getattr(model, f"layer{model.stages}")
    hook = stage[-1].register_forward_hook(lambda module, inputs, output: kept.append(output))
    logits = model(images)
    hook.remove()
    activations = kept[0]
    scores = logits[torch.arange(len(labels)), labels].sum()
    gradients, = torch.autograd.grad(scores, activations)
    weights = gradients.mean((2, 3), keepdim=True)
    return logits.detach(), F.relu((weights * activations).sum(1)).detach()


def main():
    folder = ROOT / "Tests" / "TrainingTests" / "Fixtures" / "explanations"
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(1)
    signed = torch.randn(COUNT, generator=generator).bfloat16()
    positive = (torch.rand(4096, generator=generator) + 0.5).bfloat16()
    save_file({"signed": signed, "positive": positive}, folder / "weights.safetensors")
    for name, shortcut, (count, height, width), deviation in CASES:
        model = torch_models.build(name, classes=CLASSES, shortcut=shortcut)
        model.load_state_dict(weights_of(model, signed.float() * torch.tensor(deviation), positive.float()), strict=False)
        model = model.double().eval()
        images = torch.randn(count, 3, height, width, generator=generator)
        labels = model(images.double()).argmax(1)
        # All images but the first explain another class than the predicted one.
        labels[1:] = (labels[1:] + 1) % CLASSES
        logits, maps = grad_cam(model, images.double(), labels)
        assert (maps.amax((1, 2)) > 0).all() and torch.isfinite(logits).all(), f"{name}: an empty map"
        whole = F.interpolate(maps[:, None], (height, width), mode="bilinear", align_corners=False)[:, 0]
        tensors = {
            "images": images.permute(0, 2, 3, 1), "labels": labels.int(), "logits": logits.float(), "maps": maps.float(),
            "whole": whole.float(), "deviation": torch.tensor([deviation]),
        }
        save_file({key: value.contiguous() for key, value in tensors.items()}, folder / f"{name}.safetensors")
        print(f"{name}: logits {logits[0].tolist()}, maps {maps.amax((1, 2)).tolist()}, {(maps > 0).double().mean():.2f} above 0")


if __name__ == "__main__":
    main()
