#!/usr/bin/env python3
"""Writes the results of torchvision's transforms on pictures, for the tests of Images.

    python3 Scripts/make-augmentation-fixtures.py    Tests/ImagesTests/Fixtures/augmentation.safetensors

Needs torch, torchvision, Pillow, numpy and safetensors (made with torchvision 0.28 and Pillow 13.0). A second run writes
the same file. Every result is a CRC-32 of the uint8 [H,W,3] picture. The sources are photo.png beside the file, a picture
that is computed from pixel coordinates, and photo.png in gray.

`trivial SOURCE` [14,31,2]: every transform of TrivialAugmentWide, in its order, with every strength and either sign.
`NAME factors` and `NAME SOURCE` [n]: ColorJitter's transforms with these factors.
`linspace LAST` [31]: the strengths.
"""

import pathlib
import zlib

import numpy
import torch
from PIL import Image
from safetensors.numpy import save_file
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "Tests" / "ImagesTests" / "Fixtures"


def computed(height, width):
    """Makes a picture that a test can compute as well. uint8 [H,W,3]."""
    h, w, c = numpy.ogrid[0:height, 0:width, 0:3]
    return ((h * 7 + w * 13 + c * 50 + (h * w) % 251) % 256).astype(numpy.uint8)


def checksum(image):
    return zlib.crc32(numpy.ascontiguousarray(numpy.asarray(image.convert("RGB"))).tobytes())


def trivial(image):
    """Returns the checksums for each transform, strength and sign, [14,31,2]."""
    augment = v2.TrivialAugmentWide()
    sums = numpy.zeros((14, 31, 2), numpy.int64)
    for index, (name, (strengths, signed)) in enumerate(augment._AUGMENTATION_SPACE.items()):
        values = strengths(31, image.height, image.width)
        for bin in range(31):
            for sign in range(2):
                value = 0.0 if values is None else float(values[bin]) * (-1 if signed and sign else 1)
                changed = augment._apply_image_or_video_transform(
                    image, name, value, interpolation=augment.interpolation, fill=augment._fill)
                sums[index, bin, sign] = checksum(changed)
    return sums


def main():
    photo = Image.open(FIXTURES / "photo.png").convert("RGB")
    sources = {"photo": photo, "computed": Image.fromarray(computed(64, 96)), "gray": photo.convert("L")}
    factors = [0, 0.2, 0.35, 0.6, 0.875, 1, 1.1, 1.4, 1.7, 2.5]
    jitter = {
        "brightness": (F.adjust_brightness, factors),
        "contrast": (F.adjust_contrast, factors),
        "saturation": (F.adjust_saturation, factors),
        "hue": (F.adjust_hue, [-0.5, -0.37, -0.1, -0.003, 0, 0.002, 0.05, 0.25, 0.499, 0.5]),
    }
    tensors = {}
    for source, image in sources.items():
        tensors[f"trivial {source}"] = trivial(image)
        for name, (change, values) in jitter.items():
            tensors[f"{name} factors"] = numpy.array(values, numpy.float64)
            tensors[f"{name} {source}"] = numpy.array([checksum(change(image, value)) for value in values], numpy.int64)
    for last in (0.99, 32.0, 135.0):
        tensors[f"linspace {last}"] = torch.linspace(0.0, last, 31).numpy()
    save_file(tensors, FIXTURES / "augmentation.safetensors")


main()
