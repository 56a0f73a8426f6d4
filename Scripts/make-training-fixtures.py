#!/usr/bin/env python3
"""Writes Tests/TrainingTests/Fixtures: what PyTorch arrives at in the runs of training_reference.py.

usage: make-training-fixtures.py [RUN...]        (all of them by default, a minute)
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", choices=[[], *(run.name for run in reference.RUNS)], metavar="RUN")
    names = parser.parse_args().runs
    print(f"{'run':28} {'last loss':>10} {'PyTorch float32: loss':>22} {'tensor':>9} {'sample':>9}   worst tensor")
    for run in reference.RUNS:
        if names and run.name not in names:
            continue
        arrays, metadata = fixture(run)
        save_file(arrays, FOLDER / f"{run.name}.safetensors", metadata)
        worst = int(arrays["torch32_distances"].argmax())
        print(f"{run.name:28} {arrays['losses'][-1]:10.6f} {arrays['torch32_loss_distances'].max():22.1e} "
              f"{arrays['torch32_distances'].max():9.1e} {arrays['torch32_sample_distances'].max():9.1e}"
              f"   {metadata['names'].splitlines()[worst]}", flush=True)


if __name__ == "__main__":
    main()
