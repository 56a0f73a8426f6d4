#!/usr/bin/env python3
"""Throughput of `resnet` and of PyTorch (both memory layouts) in turns, so that what else the machine does meets all alike.

Each round runs each contender once, in a process of its own; the table gives medians over rounds, and ratios to the better of
PyTorch's two layouts.
Needs: pip install torch
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
FIGURES = {"train_images_per_second": "training", "infer_images_per_second": "inference"}


def contenders(options):
    """Name → command that prints one JSON object."""
    sizes = ["--batch-size", str(options.batch_size), "--image-size", str(options.image_size), "--steps", str(options.steps)]
    ours = [str(options.binary), "bench", "model", options.model, *sizes, "--device", options.device, "--json"]
    peer = [sys.executable, str(HERE / "torch_throughput.py"), options.model, *sizes]
    return {"resnet": ours, "PyTorch NCHW": [*peer, "--layout", "nchw"],
            "PyTorch channels_last": [*peer, "--layout", "channels_last"]}


def measure(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\nexited with {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="resnet20")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=7, help="steps timed in a round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--binary", type=pathlib.Path, default=HERE.parent / ".build" / "release" / "resnet")
    parser.add_argument("--device", default="opencl")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write every round and the medians")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds: at least one")
    if not options.binary.is_file():
        parser.error(f"no program {options.binary}: build it with swift build -c release, or name it with --binary")

    commands = contenders(options)
    rounds = []
    for number in range(options.rounds):
        rounds.append({name: measure(command) for name, command in commands.items()})
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
    medians = {name: {key: statistics.median(r[name][key] for r in rounds) for key in FIGURES} for name in commands}
    best = {key: max(medians[name][key] for name in commands if name != "resnet") for key in FIGURES}

    print(f"{options.model}, batch {options.batch_size}, {options.image_size}×{options.image_size}, {os.cpu_count()} CPUs, "
          f"{rounds[0]['resnet']['device']}, PyTorch {rounds[0]['PyTorch NCHW']['version']}")
    print(f"median of {options.rounds} rounds, images/s (ratio to PyTorch's better layout)")
    print(f"{'':22}" + "".join(f"{title:>20}" for title in FIGURES.values()))
    for name, figures in medians.items():
        cells = (f"{figures[key]:.1f} ({figures[key] / best[key]:.2f})" for key in FIGURES)
        print(f"{name:22}" + "".join(f"{cell:>20}" for cell in cells))
    if options.json:
        report = {
            "model": options.model, "batch_size": options.batch_size, "image_size": options.image_size, "machine": platform.machine(),
            "cpus": os.cpu_count(), "medians": medians, "rounds": rounds,
            "ratios": {key: medians["resnet"][key] / best[key] for key in FIGURES},
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
