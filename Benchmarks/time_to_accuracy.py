#!/usr/bin/env python3
"""Measures how long trainings on Fashion-MNIST take to which accuracy: the default recipe, `--recipe fast`, and PyTorch.

All train ResNet-20, in turns, each in its own process, from the same seeds. PyTorch has the default recipe: the same
batches, rates, decay, and random crops and mirror images, which it makes in memory, a batch at a time. It runs eagerly on
all cores with channels last and a fused optimizer. The clock starts with the process; PyTorch's starts after its imports.
Each training is measured on the test images after every epoch, which is part of its time.
Prints a table of means and standard deviations, and the time to the lowest accuracy that PyTorch ends with.
Needs: pip install torch numpy; for --chart also matplotlib. Leave the machine alone meanwhile.
"""

import argparse
import gzip
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

DATA = "/usr/share/datasets/fashion-mnist"
NAMES = {"default": "resnet train", "fast": "resnet train --recipe fast", "torch": "PyTorch, default recipe"}


def images(data, part):
    """Returns images [N,1,28,28] of float32 from 0 to 1, and labels [N]."""
    import numpy as np

    def read(kind, header):
        (path,) = pathlib.Path(data).glob(f"{part}-{kind}-*ubyte*")
        opened = gzip.open(path) if path.suffix == ".gz" else open(path, "rb")
        with opened as file:
            return np.frombuffer(file.read(), np.uint8, offset=header)

    pixels, labels = read("images", 16), read("labels", 8)
    return pixels.reshape(len(labels), 1, 28, 28).astype(np.float32) / 255, labels.astype(np.int64)


def train_in_torch(data, seed, epochs, limit):
    """Trains with PyTorch and prints the accuracy after each epoch."""
    import torch
    from torch.nn import functional as F

    import torch_models

    print("begin", flush=True)
    torch.manual_seed(seed)
    x, y = (torch.from_numpy(values[:limit]) for values in images(data, "train"))
    tests, answers = (torch.from_numpy(values) for values in images(data, "t10k"))
    std, mean = torch.std_mean(x, correction=0)
    padded, tests = F.pad((x - mean) / std, (2, 2, 2, 2)), (tests - mean) / std
    model = torch_models.build("resnet20", channels=1).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=5e-4, fused=True)
    batch = 128
    steps = len(x) // batch
    rates = [torch.optim.lr_scheduler.LinearLR(optimizer, 1 / steps, 1, steps - 1),
             torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps * (epochs - 1))]
    schedule = torch.optim.lr_scheduler.SequentialLR(optimizer, rates, [steps])
    rows = torch.arange(28)
    for _ in range(epochs):
        model.train()
        order = torch.randperm(len(x))
        for first in range(0, steps * batch, batch):
            chosen = order[first : first + batch]
            top, left = torch.randint(5, (2, batch, 1))
            columns = torch.where(torch.rand(batch, 1) < 0.5, rows.flip(0), rows) + left
            crops = padded[chosen[:, None, None], 0, (top + rows)[:, :, None], columns[:, None, :]][:, None]
            loss = F.cross_entropy(model(crops.contiguous(memory_format=torch.channels_last)), y[chosen])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
        model.eval()
        with torch.inference_mode():
            hits = sum((model(part).argmax(1) == truth).sum().item()
                       for part, truth in zip(tests.split(1000), answers.split(1000)))
        print(f"accuracy {hits / len(tests)}", flush=True)


def timed(command, begins, found):
    """Runs a command. Returns pairs of seconds and accuracy, one for each line in which `found` reads an accuracy.

    The clock starts with the process if `begins` is None, else with the line that it names.
    """
    start, points = time.perf_counter(), []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.strip() == begins:
                start = time.perf_counter()
            accuracy = found(line)
            if accuracy is not None:
                points.append((time.perf_counter() - start, accuracy))
    if process.returncode or not points:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{''.join(lines[-20:])}")
    return points


def run(options, kind, seed):
    """Trains once. Returns pairs of seconds and accuracy."""
    limit = ["--limit-train", str(options.limit_train)] if options.limit_train else []
    if kind == "torch":
        command = [sys.executable, __file__, "--train-torch", str(seed), "--data", options.data, "--epochs", str(options.epochs)]

        def accuracy(line):
            return float(line.split()[1]) if line.startswith("accuracy ") else None

        return timed(command + limit, "begin", accuracy)
    with tempfile.TemporaryDirectory() as folder:
        recipe = ["--recipe", "fast"] if kind == "fast" else ["--epochs", str(options.epochs)]
        command = [options.resnet, "train", "--device", options.device, "--seed", str(seed), "--data", options.data,
                   "--output", f"{folder}/run"]

        def accuracy(line):
            match = re.search(r"validation accuracy ([\d.]+) %", line) if line.startswith("epoch ") else None
            return float(match[1]) / 100 if match else None

        return timed(command + recipe + limit, None, accuracy)


def spread(values):
    """Returns the mean and the standard deviation of a sample; the latter is 0 for one value."""
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def report(results):
    """Prints the table, and the times to the accuracy that every training of PyTorch (or of the default recipe) reaches."""
    print("| training | epochs | test accuracy, % | seconds |\n|---|---|---|---|")
    for kind, curves in results.items():
        accuracy, deviation = spread([100 * curve[-1][1] for curve in curves])
        seconds, wobble = spread([curve[-1][0] for curve in curves])
        print(f"| {NAMES[kind]} | {len(curves[0])} | {accuracy:.2f} ± {deviation:.2f} | {seconds:.0f} ± {wobble:.0f} |")
    base = "torch" if "torch" in results else "default"
    if base not in results:
        return
    goal = min(max(accuracy for _, accuracy in curve) for curve in results[base])
    print(f"\nSeconds to {100 * goal:.2f} %, reached by every training of {NAMES[base]}:")
    for kind, curves in results.items():
        times = [next((seconds for seconds, accuracy in curve if accuracy >= goal), None) for curve in curves]
        print(f"  {NAMES[kind]}: " + ", ".join("not reached" if t is None else f"{t:.0f}" for t in times))


def draw(results, path):
    """Draws accuracy against seconds: a line for each seed."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "resnet"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.2), layout="constrained")
    for color, (kind, curves) in zip(("#0072b2", "#d55e00", "#6b6b6b"), results.items()):
        for number, curve in enumerate(curves):
            axes.plot(*zip(*[(seconds, 100 * accuracy) for seconds, accuracy in curve]), color=color, marker="o", markersize=3,
                      linewidth=1.2, label=NAMES[kind] if number == 0 else None)
    axes.set(xlabel="seconds", ylabel="test accuracy, %", ylim=(80, 96))
    axes.set_xlim(left=0)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.legend(loc="lower right", frameon=False)
    figure.savefig(path, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", default=list(NAMES), help="trainings to measure: default, fast, torch")
    parser.add_argument("--resnet", default=".build/release/resnet", help="path of the program")
    parser.add_argument("--device", default="opencl")
    parser.add_argument("--data", default=DATA, help="folder of Fashion-MNIST")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=10, help="epochs of the default recipe, also in PyTorch")
    parser.add_argument("--limit-train", type=int, help="number of training images, to try the script")
    parser.add_argument("--json", help="file with the curves; a file that exists is added to")
    parser.add_argument("--chart", help="file of a chart of accuracy against seconds, for example curves.svg")
    parser.add_argument("--train-torch", type=int, metavar="SEED", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train_torch is not None:
        train_in_torch(options.data, options.train_torch, options.epochs, options.limit_train)
        return
    if unknown := set(options.kinds) - set(NAMES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    record = pathlib.Path(options.json) if options.json else None
    results = json.loads(record.read_text()) if record and record.exists() else {}
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for kind in options.kinds:
            curve = run(options, kind, seed)
            print(f"{NAMES[kind]}, seed {seed}: {100 * curve[-1][1]:.2f} % in {curve[-1][0]:.0f} s", file=sys.stderr)
            results.setdefault(kind, []).append(curve)
            if record:
                record.write_text(json.dumps(results))
    report(results)
    if options.chart:
        draw(results, options.chart)


if __name__ == "__main__":
    main()
