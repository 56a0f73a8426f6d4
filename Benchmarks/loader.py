#!/usr/bin/env python3
"""Measures how fast photographs become batches: `resnet bench loader` and torchvision with Pillow, in turns, equally parallel.

Both read JPEGs, crop at random, resize to 224×224 and flip, into batches of bytes, with as many threads as workers.
Normalization is left to the device. The photographs are generated with the spectrum of natural ones, 500×375 pixels of
about 100 KB, unless --data names a folder that has a folder for each class. The table gives medians over the rounds, in
images per second, and the ratio.
Needs: pip install torch torchvision
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

HERE = pathlib.Path(__file__).resolve().parent


def photograph(random, height, width):
    """Makes a picture, uint8 [H,W,3], whose amplitudes fall with frequency and whose phases are random. Its channels are
    similar."""
    frequency = numpy.hypot(numpy.fft.fftfreq(height)[:, None], numpy.fft.rfftfreq(width)[None])
    amplitude = 1 / numpy.maximum(frequency, 1 / max(height, width)) ** 1.1

    def noise():
        return numpy.fft.irfft2(amplitude * numpy.exp(2j * numpy.pi * random.random(amplitude.shape)), (height, width))

    light = noise()
    channels = [light + 0.4 * noise() for _ in range(3)]
    return numpy.clip(numpy.stack([128 + 50 * c / c.std() for c in channels], -1), 0, 255).astype(numpy.uint8)


def make(folder, count):
    random = numpy.random.default_rng(0)
    for index in range(count):
        place = folder / f"class{index % 4}"
        place.mkdir(exist_ok=True)
        size = (500, 375) if index % 3 == 0 else (375, 500)
        Image.fromarray(photograph(random, *size)).save(place / f"{index:05}.jpg", quality=88)


def torchvision_speed(folder, options):
    if options.evaluation:
        steps = [transforms.Resize(256), transforms.CenterCrop(224)]
    else:
        steps = [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip()]
    images = datasets.ImageFolder(str(folder), transforms.Compose([*steps, transforms.PILToTensor()]))
    loader = DataLoader(images, options.batch_size, num_workers=options.workers, persistent_workers=True)
    for _ in loader:  # Starts the workers and brings the files into the cache.
        pass
    speeds = []
    for _ in range(options.passes):
        start = time.perf_counter()
        for _ in loader:
            pass
        speeds.append(len(images) / (time.perf_counter() - start))
    return statistics.median(speeds)


def our_speed(folder, options):
    command = [str(options.binary), "bench", "loader", "--data", str(folder), "--threads", str(options.workers)]
    command += ["--batch-size", str(options.batch_size), "--passes", str(options.passes), "--json"]
    command += ["--evaluation"] if options.evaluation else []
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\nexited with {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)["images_per_second"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path, default=HERE.parent / ".build/release/resnet")
    parser.add_argument("--data", type=pathlib.Path, help="a folder of photographs with a folder for each class")
    parser.add_argument("--images", type=int, default=512, help="photographs that are made")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--passes", type=int, default=3, help="over all images, a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--evaluation", action="store_true", help="resize and center crop instead")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = options.data or pathlib.Path(made)
        if options.data is None:
            make(folder, options.images)
        contenders = {"resnet": our_speed, "torchvision": torchvision_speed}
        rounds = []
        for number in range(options.rounds):
            order = list(contenders) if number % 2 == 0 else list(contenders)[::-1]
            rounds.append({name: contenders[name](folder, options) for name in order})
            print(f"round {number + 1}: " + ", ".join(f"{name} {rounds[-1][name]:.0f}" for name in contenders), file=sys.stderr)
    medians = {name: statistics.median(figures[name] for figures in rounds) for name in contenders}
    for name, speed in medians.items():
        print(f"{name:12} {speed:8.1f} images/s")
    print(f"{'ratio':12} {medians['resnet'] / medians['torchvision']:8.2f}")


if __name__ == "__main__":
    main()
