#!/usr/bin/env python3
"""Writes Tests/TrainingTests/Fixtures: PyTorch's results for the runs of training_reference.py.

A ReLU whose input is within rounding of 0 passes a gradient in one float32 run and not in another, and from there on the
two runs part. If PyTorch's float32 run happens to meet few such inputs, its distance from float64 does not measure the
effect of rounding. A random seed is fair if PyTorch's other ways to the same result (channels last, without oneDNN, each
batch reversed) stay within the bounds that its default way sets. The table counts the values that miss these bounds.
`--seeds N` prints the counts for the seeds 1 … N and writes nothing.
Needs: pip install torch numpy safetensors
"""

import argparse
import dataclasses
import pathlib

import numpy as np
import torch
from safetensors.numpy import save_file

import training_reference as reference

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "Tests" / "TrainingTests" / "Fixtures"


def fixture(run):
    """Returns the file's tensors and metadata, which include PyTorch's largest distances for the report."""
    initial = reference.initial_weights(run)
    losses, final = reference.train(run, torch.float64)
    losses32, final32 = reference.train(run, torch.float32)
    values = reference.compared(run, final, initial)
    values32 = reference.compared(run, final32, initial)
    samples = [reference.sample(v) for v in values.values()]
    samples32 = [reference.sample(v) for v in values32.values()]
    arrays = {
        # Shape [steps].
        "losses": losses,
        "torch32_loss_distances": np.abs(losses32 - losses) / losses,
        # Samples of all tensors, concatenated in the order of "names".
        "samples": np.concatenate(samples),
        # Shape [tensors].
        "counts": np.array([v.size for v in values.values()], np.int64),
        "norms": np.array([np.linalg.norm(v.reshape(-1)) for v in values.values()]),
        "torch32_distances": np.array([reference.distance(values32[n], values[n]) for n in values]),
        "torch32_sample_distances": np.array([reference.distance(a, b) for a, b in zip(samples32, samples)]),
        "initial_samples": np.concatenate([reference.sample(v) for v in initial.values()]),
    }
    metadata = {key: str(value).lower() if isinstance(value, bool) else str(value)
                for key, value in dataclasses.asdict(run).items() if key not in ("class_weights", "stochastic_depth")}
    if run.class_weights:
        metadata["class_weights"] = " ".join(map(str, run.class_weights))
    if run.stochastic_depth:
        metadata["stochastic_depth"] = str(run.stochastic_depth)
    metadata["names"] = "\n".join(values)
    return arrays, metadata


def misses(run):
    """Counts the values for which PyTorch's other ways in float32 miss the bounds that its default way sets."""
    initial = reference.initial_weights(run)
    losses, final = reference.train(run, torch.float64)
    values = reference.compared(run, final, initial)
    bounds, missed = None, 0
    for variant in reference.VARIANTS:
        losses32, final32 = reference.train(run, torch.float32, variant)
        values32 = reference.compared(run, final32, initial)
        distances = [
            np.abs(losses32 - losses) / losses,
            np.array([reference.distance(values32[n], values[n]) for n in values]),
            np.array([reference.distance(reference.sample(values32[n]), reference.sample(values[n])) for n in values]),
        ]
        if bounds is None:
            bounds = [reference.bound(d, kind) for d, kind in zip(distances, ("loss", run.compares, run.compares))]
        missed += sum(int((d > b).sum()) for d, b in zip(distances, bounds))
    return missed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", metavar="RUN", help="all by default")
    parser.add_argument("--seeds", type=int, metavar="N", help="try these seeds and write nothing")
    options = parser.parse_args()
    known = [run.name for run in reference.RUNS]
    for name in options.runs:
        if name not in known:
            parser.error(f"no run '{name}'; known are {', '.join(known)}")
    runs = [run for run in reference.RUNS if not options.runs or run.name in options.runs]
    if options.seeds:
        for run in runs:
            for seed in range(1, options.seeds + 1):
                print(f"{run.name:28} seed {seed:3} misses {misses(dataclasses.replace(run, seed=seed)):4}", flush=True)
        return
    print(f"{'run':28} {'last loss':>10} {'PyTorch float32: loss':>22} {'tensor':>9} {'sample':>9} {'misses':>7}   worst tensor")
    for run in runs:
        arrays, metadata = fixture(run)
        save_file(arrays, FOLDER / f"{run.name}.safetensors", metadata)
        worst = int(arrays["torch32_distances"].argmax())
        print(f"{run.name:28} {arrays['losses'][-1]:10.6f} {arrays['torch32_loss_distances'].max():22.1e} "
              f"{arrays['torch32_distances'].max():9.1e} {arrays['torch32_sample_distances'].max():9.1e}"
              f" {misses(run):7}   {metadata['names'].splitlines()[worst]}", flush=True)


if __name__ == "__main__":
    main()
