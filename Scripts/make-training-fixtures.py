#!/usr/bin/env python3
"""Writes Tests/TrainingTests/Fixtures: what PyTorch arrives at in the runs of training_reference.py.

A ReLU whose input is within rounding of 0 passes a gradient in one float32 run and not in another; from there on the two part. Where
PyTorch's own float32 run happens to meet few such places, its distance from float64 says nothing of what rounding does. A seed is fair
where every other way to the same result stays within the bounds that PyTorch's default way sets: its channels last, without oneDNN,
with each batch reversed, and six runs with noise of 2e-6 of the deviation on every convolution. `--seeds N` looks through 1 … N and
stops at the first fair one.
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
    """The file's tensors and metadata, and PyTorch's largest distances for the report."""
    initial = reference.initial_weights(run)
    losses, final = reference.train(run, torch.float64)
    losses32, final32 = reference.train(run, torch.float32)
    values = reference.compared(run, final, initial)
    values32 = reference.compared(run, final32, initial)
    samples = [reference.sample(v) for v in values.values()]
    samples32 = [reference.sample(v) for v in values32.values()]
    arrays = {
        # [steps]
        "losses": losses,
        "torch32_loss_distances": np.abs(losses32 - losses) / losses,
        # All tensors' samples end to end, in the order of "names".
        "samples": np.concatenate(samples),
        # [tensors]
        "counts": np.array([v.size for v in values.values()], np.int64),
        "norms": np.array([np.linalg.norm(v.reshape(-1)) for v in values.values()]),
        "torch32_distances": np.array([reference.distance(values32[n], values[n]) for n in values]),
        "torch32_sample_distances": np.array([reference.distance(a, b) for a, b in zip(samples32, samples)]),
        "initial_samples": np.concatenate([reference.sample(v) for v in initial.values()]),
    }
    metadata = {key: str(value).lower() if isinstance(value, bool) else str(value)
                for key, value in dataclasses.asdict(run).items()}
    metadata["names"] = "\n".join(values)
    return arrays, metadata


def misses(run):
    """For each of PyTorch's ways in float32, by how many values it misses the bounds that the first sets."""
    initial = reference.initial_weights(run)
    losses, final = reference.train(run, torch.float64)
    values = reference.compared(run, final, initial)
    bounds = None
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
        yield sum(int((d > b).sum()) for d, b in zip(distances, bounds))


def find_seed(run, count):
    for seed in range(1, count + 1):
        missed = 0
        for missed in misses(dataclasses.replace(run, seed=seed)):
            if missed:
                break
        print(f"{run.name:28} seed {seed:3}   {f'{missed} missed' if missed else 'fair'}", flush=True)
        if not missed:
            return


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", metavar="RUN", help="all by default")
    parser.add_argument("--seeds", type=int, metavar="N", help="search for seeds and write nothing")
    options = parser.parse_args()
    known = [run.name for run in reference.RUNS]
    for name in options.runs:
        if name not in known:
            parser.error(f"no run '{name}'; known are {', '.join(known)}")
    runs = [run for run in reference.RUNS if not options.runs or run.name in options.runs]
    if options.seeds:
        for run in runs:
            find_seed(run, options.seeds)
        return
    print(f"{'run':28} {'last loss':>10} {'PyTorch float32: loss':>22} {'tensor':>9} {'sample':>9}   worst tensor")
    for run in runs:
        arrays, metadata = fixture(run)
        save_file(arrays, FOLDER / f"{run.name}.safetensors", metadata)
        worst = int(arrays["torch32_distances"].argmax())
        print(f"{run.name:28} {arrays['losses'][-1]:10.6f} {arrays['torch32_loss_distances'].max():22.1e} "
              f"{arrays['torch32_distances'].max():9.1e} {arrays['torch32_sample_distances'].max():9.1e}"
              f"   {metadata['names'].splitlines()[worst]}", flush=True)


if __name__ == "__main__":
    main()
