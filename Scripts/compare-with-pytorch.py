#!/usr/bin/env python3
"""Trains with the command line and with PyTorch from the same weights on the same images, and compares every element.

For each run of training_reference.py, the script writes the weights and the data as safetensors files and trains on them
with `resnet train` and with PyTorch in float64 and in float32. It prints the largest distance, and the largest ratio of a
distance to its bound. The distance of losses is |ours - f64| / |f64|, that of a tensor ‖ours - f64‖ / ‖f64‖. A bound is
five times the distance of PyTorch's own float32 run, but at least 1e-5 for losses, 1e-4 for weights and 1e-3 for updates.
The exit code is 1 if a bound is missed.

Needs: pip install torch numpy safetensors
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

import training_reference as reference

ROOT = pathlib.Path(__file__).resolve().parents[1]


def train_with_command_line(run, binary, device, initial, folder):
    """Runs `resnet train` and returns its losses and final weights."""
    images, labels = reference.dataset(run)
    # One image is enough to validate on: the validation after an epoch does not influence training.
    save_file({"images": images, "labels": labels, "validation_images": images[:1], "validation_labels": labels[:1]},
              folder / "data.safetensors")
    save_file(initial, folder / "initial.safetensors")
    command = [
        binary, "train", "--device", device, "--model", run.model, "--shortcut", run.shortcut,
        "--dataset", "tensors", "--data", folder / "data.safetensors", "--init", folder / "initial.safetensors",
        "--no-shuffle", "--no-augment", "--batch-size", run.batch, "--epochs", run.steps, "--max-steps", run.steps,
        "--schedule", "constant", "--warmup-epochs", 0, "--learning-rate", run.learning_rate, "--momentum", run.momentum,
        "--weight-decay", run.weight_decay, "--label-smoothing", run.label_smoothing, "--log-every", 1,
        "--output", folder / "run",
    ] + ["--nesterov"] * run.nesterov
    if run.class_weights:
        (folder / "weights.txt").write_text("\n".join(map(str, run.class_weights)))
        command += ["--class-weights", folder / "weights.txt"]
    if run.stochastic_depth:
        command += ["--stochastic-depth", run.stochastic_depth, "--seed", run.seed]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{run.name}: {' '.join(map(str, command))}\nexited with {done.returncode}: {done.stderr.strip()}")
    records = map(json.loads, (folder / "run" / "metrics.jsonl").read_text().splitlines())
    losses = np.array([record["loss"] for record in records if record["kind"] == "step"])
    # With stochastic depth, last.safetensors has the weights for evaluation, so the trained ones are taken from the state.
    state = max((folder / "run").glob("state-*.safetensors"))
    final = load_file(state if run.stochastic_depth else folder / "run" / "last.safetensors")
    return losses, {name: value.astype(np.float64) for name, value in final.items() if not name.startswith("velocity.")}


def compare(run, binary, device):
    """Prints one row of the table for the losses and one for the tensors. Returns the number of missed bounds."""
    initial = reference.initial_weights(run)
    with tempfile.TemporaryDirectory() as folder:
        losses, final = train_with_command_line(run, binary, device, initial, pathlib.Path(folder))
    losses64, final64 = reference.train(run, torch.float64)
    losses32, final32 = reference.train(run, torch.float32)
    if losses.shape != losses64.shape or set(final) != set(final64):
        sys.exit(f"{run.name}: {len(losses)} losses and {len(final)} tensors, PyTorch has {len(losses64)} and {len(final64)}")
    values, values64, values32 = (reference.compared(run, weights, initial) for weights in (final, final64, final32))
    names = list(values64)
    rows = [
        ("loss", [f"step {step + 1}" for step in range(run.steps)],
         np.abs(losses - losses64) / losses64, np.abs(losses32 - losses64) / losses64),
        (run.compares, names, np.array([reference.distance(values[n], values64[n]) for n in names]),
         np.array([reference.distance(values32[n], values64[n]) for n in names])),
    ]
    missed = 0
    for kind, items, ours, torch32 in rows:
        share = ours / reference.bound(torch32, kind)
        misses = int((~(share <= 1)).sum())
        worst = int(np.nanargmax(share))
        print(f"{run.name:26} {kind:8} {len(items):6} {ours.max():10.1e} {np.median(ours):9.1e} {torch32.max():14.1e}"
              f" {np.median(torch32):9.1e} {share[worst]:12.2f}   {items[worst]:36} {f'{misses} MISSED' if misses else 'ok'}",
              flush=True)
        missed += misses
    return missed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", metavar="RUN", help="all by default: " + ", ".join(r.name for r in reference.RUNS))
    parser.add_argument("--binary", default=ROOT / ".build" / "release" / "resnet", help="default: %(default)s")
    parser.add_argument("--device", default="opencl", help="cpu, opencl or opencl:P.D (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="only the runs of small batches and the single steps")
    options = parser.parse_args()
    unknown = set(options.runs) - {run.name for run in reference.RUNS}
    if unknown:
        parser.error(f"no run {', '.join(sorted(unknown))}")
    if not pathlib.Path(options.binary).is_file():
        parser.error(f"no program {options.binary}: build it with swift build -c release, or name it with --binary")

    print(f"PyTorch {torch.__version__} against {options.binary} on {options.device}")
    print(f"{'run':26} {'compared':8} {'values':>6} {'ours: max':>10} {'median':>9} {'PyTorch32: max':>14} {'median':>9}"
          f" {'of its bound':>12}   worst")
    missed = 0
    for run in reference.RUNS:
        if (options.runs and run.name not in options.runs) or (options.quick and not run.is_quick):
            continue
        missed += compare(run, options.binary, options.device)
    print(f"{missed} bounds missed" if missed else "all within bounds")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
