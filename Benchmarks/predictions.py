#!/usr/bin/env python3
"""Checks that `resnet predict` classifies photographs as PyTorch does. A network of torchvision with random weights and
torchvision's evaluation transform on Pillow are compared with the same weights in this project, for every test-time augmentation.

Photographs are made as in loader.py, in several sizes. For each augmentation, the script prints the largest difference of a
probability and the largest probability. The exit code is 1 if a difference is above 0.001.
Needs: pip install torch torchvision
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy
import torch
import torchvision
from PIL import Image
from torchvision import transforms

from loader import photograph
from torch_models import randomise_normalization

HERE = pathlib.Path(__file__).resolve().parent
SIZES = [(375, 500), (500, 375), (224, 224), (256, 301), (640, 199), (90, 120), (1200, 1600)]
NORMALIZE = transforms.Compose(
    [transforms.ToTensor(), transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])


def network(name, images):
    """Returns a network with random weights, running statistics of these images, and logits that are neither all alike nor
    far apart."""
    torch.manual_seed(0)
    model = torchvision.models.get_model(name, weights=None)
    randomise_normalization(model, images)
    with torch.no_grad():
        logits = model(images)
        model.fc.weight *= 2 / logits.std(0).mean()
    return model


def views(image, augmentation):
    resized = transforms.Resize(256)(image)
    crops = transforms.FiveCrop(224)(resized) if augmentation == "ten-crop" else [transforms.CenterCrop(224)(resized)]
    x = torch.stack([NORMALIZE(crop) for crop in crops])
    return x if augmentation == "none" else torch.cat([x, x.flip(-1)])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resnet", default=HERE.parent / ".build/release/resnet", type=pathlib.Path)
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--device", default="opencl")
    options = parser.parse_args()
    random = numpy.random.default_rng(0)
    worst = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for index, size in enumerate(SIZES):
            Image.fromarray(photograph(random, *size)).save(folder / f"{index}.jpg", quality=88)
        images = [Image.open(folder / f"{index}.jpg").convert("RGB") for index in range(len(SIZES))]
        model = network(options.model, torch.cat([views(image, "none") for image in images]))
        torch.save(model.state_dict(), folder / "weights.pth")
        subprocess.run([options.resnet, "import", folder / "weights.pth", "--model", options.model], check=True)
        for augmentation in ["none", "flip", "ten-crop"]:
            text = subprocess.run(
                [options.resnet, "predict", "--checkpoint", folder / "weights.safetensors", "--top", "1000", "--json",
                 "--tta", augmentation, "--device", options.device, *(folder / f"{i}.jpg" for i in range(len(SIZES)))],
                check=True, stdout=subprocess.PIPE).stdout
            difference, largest = 0, 0
            for image, found in zip(images, json.loads(text), strict=True):
                with torch.inference_mode():
                    expected = model(views(image, augmentation)).double().softmax(1).mean(0)
                values = {p["label"]: p["probability"] for p in found["predictions"]}
                difference = max(difference, *(abs(values[i] - p) for i, p in enumerate(expected.tolist())))
                largest = max(largest, expected.max().item())
            print(f"{options.model}, {augmentation}: largest difference {difference:.1e}, largest probability {largest:.3f}")
            worst = max(worst, difference)
    sys.exit(worst > 1e-3)


if __name__ == "__main__":
    main()
