"""Fine-tunes a Fashion-MNIST checkpoint on a few handwritten digits and compares it with training from scratch for equal steps.

    pip install numpy pillow scikit-learn
    resnet train --epochs 3 --output runs/clothes
    python3 Benchmarks/fine_tuning.py runs/clothes/best.safetensors

The digits are the 8×8 pictures of UCI's optical recognition data set, which scikit-learn contains. They are enlarged to
28×28 and written as PNG files into a folder for each of the classes 0 to 7. There are 8 classes where Fashion-MNIST has 10,
so that the last layer starts anew.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile

import numpy
from PIL import Image
from sklearn.datasets import load_digits

CLASSES = 8


def write_digits(folder, per_class):
    """Writes the first images of each class as training images, and all others as validation images."""
    digits = load_digits()
    counts = [0] * CLASSES
    for index, (image, label) in enumerate(zip(digits.images, digits.target)):
        if label >= CLASSES:
            continue
        split = "train" if counts[label] < per_class else "val"
        counts[label] += 1
        path = folder / split / str(label) / f"{index:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = Image.fromarray((image * 255 / 16).astype(numpy.uint8))
        pixels.resize((28, 28), Image.Resampling.BILINEAR).save(path)


def accuracy(program, data, output, options):
    """Trains and returns the last validation accuracy of the run."""
    command = [program, "train", "--dataset", "folder", "--data", data, "--output", output, *options]
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == "epoch"][-1]["validation_accuracy"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("--resnet", default=".build/release/resnet", help="the program (default: %(default)s)")
    parser.add_argument("--per-class", type=int, default=10, help="training images of a class (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=4, help="default: %(default)s")
    parser.add_argument(
        "--learning-rate", type=float, default=0.1, help="of all; of 0.02, 0.05 and 0.1 the best for each (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--device", default="opencl", help="default: %(default)s")
    arguments = parser.parse_args()
    start = ["--init", arguments.checkpoint]
    ways = {
        "from scratch": ["--image-size", 28],
        "fine-tuned": start,
        "fine-tuned, a tenth of the rate below fc": start + ["--learning-rate-scale", "conv1=0.1"]
        + [word for stage in (1, 2, 3) for word in ("--learning-rate-scale", f"layer{stage}=0.1")],
        "fine-tuned, up to layer2 frozen": start
        + [word for part in ("conv1", "bn1", "layer1", "layer2") for word in ("--freeze", part)],
    }
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write_digits(folder / "digits", arguments.per_class)
        for number, (way, options) in enumerate(ways.items()):
            common = ["--model", "resnet20"] if way == "from scratch" else []
            common += ["--epochs", arguments.epochs, "--batch-size", 16, "--learning-rate", arguments.learning_rate]
            common += ["--no-augment", "--device", arguments.device]
            results = [
                accuracy(arguments.resnet, folder / "digits", folder / f"run{number}-{seed}", common + options + ["--seed", seed])
                for seed in range(arguments.seeds)
            ]
            each = ", ".join(f"{100 * result:.1f}" for result in results)
            print(f"{way}: median {100 * statistics.median(results):.1f} % of the validation digits right ({each})", flush=True)


if __name__ == "__main__":
    main()
