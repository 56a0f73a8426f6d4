#!/usr/bin/env python3
"""Measures throughput and memory of `resnet` and of PyTorch (both memory layouts) in turns, so that other load affects all alike.

Each round runs each contender once, in a process of its own. The table gives medians over the rounds, in images per second,
and ratios to the better of PyTorch's two layouts. Memory is the peak resident memory of a process (VmHWM), training and
inference together. A case is MODEL:BATCH:SIZE; the default cases are the four in the README.
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
OURS, LAYOUTS = "resnet", ("nchw", "channels_last")
STANDARD = ("resnet20:128:32", "resnet56:128:32", "resnet18:16:224", "resnet50:16:224")
SPEEDS = ("train_images_per_second", "infer_images_per_second")
FIGURES = (*SPEEDS, "resident_peak_bytes")


def case(text):
    """Parses a case: "resnet20:128:32" gives ("resnet20", 128, 32)."""
    model, batch, size = text.split(":")
    if int(batch) < 1 or int(size) < 1:
        raise ValueError(text)
    return model, int(batch), int(size)


def commands(model, batch, size, options):
    """Returns name → command; each command prints one JSON object."""
    sizes = [model, "--batch-size", str(batch), "--image-size", str(size), "--steps", str(options.steps)]
    ours = [str(options.binary), "bench", "model", *sizes, "--device", options.device, "--json"]
    peer = [sys.executable, str(HERE / "torch_throughput.py"), *sizes, *(["--fold"] if options.fold else [])]
    if options.bf16:
        ours += ["--precision", "bf16", "--math", "fast"]
        peer += ["--precision", "bf16"]
    peer.append("--layout")
    return {OURS: ours} | {layout: [*peer, layout] for layout in LAYOUTS}


def measure(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\nexited with {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def measure_case(model, batch, size, options):
    """Returns all rounds of one case, their medians, and the ratios to PyTorch's better layout."""
    contenders = list(commands(model, batch, size, options).items())
    rounds = []
    for number in range(options.rounds):
        # The contenders take turns in going first.
        start = number % len(contenders)
        rounds.append({name: measure(command) for name, command in contenders[start:] + contenders[:start]})
        print(f"{model}: round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
    medians = {name: {key: statistics.median(r[name][key] for r in rounds) for key in FIGURES} for name, _ in contenders}
    ratios = {key: medians[OURS][key] / max(medians[layout][key] for layout in LAYOUTS) for key in SPEEDS}
    return {"model": model, "batch_size": batch, "image_size": size, "medians": medians, "ratios": ratios, "rounds": rounds}


def table(results):
    """Formats the results as rows of text in aligned columns."""
    header = ["", *(f"{what} {name}" for what in ("train", "infer") for name in (OURS, *LAYOUTS, "ratio")),
              *(f"MB {name}" for name in (OURS, *LAYOUTS))]
    rows = [header]
    for result in results:
        row = [f"{result['model']}, {result['batch_size']} × {result['image_size']}²"]
        for key in SPEEDS:
            row += [f"{result['medians'][name][key]:.1f}" for name in (OURS, *LAYOUTS)] + [f"{result['ratios'][key]:.2f}×"]
        row += [f"{result['medians'][name]['resident_peak_bytes'] / 1e6:.0f}" for name in (OURS, *LAYOUTS)]
        rows.append(row)
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    return "\n".join("  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:]))]) for row in rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", type=case, metavar="MODEL:BATCH:SIZE", default=[case(text) for text in STANDARD])
    parser.add_argument("--steps", type=int, default=7, help="steps timed in a round (default: %(default)s)")
    parser.add_argument("--fold", action="store_true", help="let PyTorch infer with batch normalization folded into the convolutions")
    parser.add_argument("--bf16", action="store_true", help="bfloat16 on both sides: --math fast here, autocast there")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--binary", type=pathlib.Path, default=HERE.parent / ".build" / "release" / "resnet")
    parser.add_argument("--device", default="opencl")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write every round and the medians")
    options = parser.parse_args()
    if options.rounds < 1 or options.steps < 1:
        parser.error("--rounds and --steps: at least one")
    if not options.binary.is_file():
        parser.error(f"no program {options.binary}: build it with swift build -c release, or name it with --binary")

    results = []
    for model, batch, size in options.cases:
        results.append(measure_case(model, batch, size, options))
        if options.json:
            # Writes the file after each case, so that an interruption loses no finished case.
            report = {"machine": platform.machine(), "cpus": os.cpu_count(), "cases": results}
            options.json.write_text(json.dumps(report, indent=2) + "\n")
    first = results[0]["rounds"][0]
    print(f"{first[OURS]['device']}, {os.cpu_count()} CPUs, PyTorch {first[LAYOUTS[0]]['version']} with "
          f"{first[LAYOUTS[0]]['threads']} threads, medians of {options.rounds} rounds")
    print(table(results))


if __name__ == "__main__":
    main()
