#!/usr/bin/env python3
"""Checks and measures `resnet` on a GPU in one go, and PyTorch with CUDA if it is there. Writes one JSON file and one table.

The steps, each in its own process: clinfo, devices, probe/NAME (gpu_probes.py), verify/MATH, tune/CASE/PRECISION/MATH,
model/CASE/PRECISION/MATH, torch/CASE/eager, torch/CASE/compile, kernels/CASE/PRECISION/MATH. A case is MODEL:BATCH:SIZE. A
step that fails or takes too long is recorded with its error, and the rest goes on. Results are added to those that the file
already has, so that the steps can be run in pieces:

    gpu_check.py --only clinfo,devices,verify --limit 500
    gpu_check.py --only 'tune/*50:*/bf16,model/*50:*' --limit 500

For a machine that is lent for a quarter of an hour, --minutes 10 takes only the steps that are worth most, the most useful
first, each with a part of the time, and ends in time. expected.py then compares the file with what was expected.

A pattern selects all steps whose names begin with it. The table shows images per second, and the ratio to the faster of
PyTorch's eager and compiled forms in the nearest precision: TF32 for fp32/fast, automatic mixed precision for 16 bits, all
in channels_last.

Requires the Python standard library and the program, from `swift build` or, with --resnet, from Scripts/bundle.
"""

import argparse
import fnmatch
import json
import os
import pathlib
import platform
import shutil
import signal
import subprocess
import sys
import time

from gpu_probes import PROBES
from opencl import driver
from throughput import HERE, SPEEDS, case

CASES = ("resnet20:128:32", "resnet20:1024:32", "resnet56:128:32", "resnet56:1024:32",
         "resnet18:64:224", "resnet18:256:224", "resnet50:64:224", "resnet50:256:224")
QUICK_CASES = ("resnet20:4:32", "resnet18:2:32")
PRECISIONS, MATHS = ("fp32", "fp16", "bf16"), ("exact", "fast")
TORCH_MODES = ("eager", "compile")
# Steps of --minutes in order of worth, each with its budget in seconds where ten minutes are given. A case here stands for a
# position in SHORT_CASES. Budgets that a step does not use are left to the steps at the end.
SHORT_CASES = ("resnet50:256:224", "resnet20:128:32", "resnet18:256:224")
SHORT_STEPS = (
    ("devices", 20), *((f"probe/{name}", 15) for name in PROBES), ("verify/quick/fast", 60),
    ("model/0/bf16/fast", 75), ("model/0/fp32/exact", 75), ("model/0/fp32/fast", 60), ("model/1/fp32/exact", 40),
    ("torch/0/eager", 80), ("model/1/bf16/fast", 40), ("model/2/bf16/fast", 60), ("torch/1/eager", 40), ("model/0/fp16/fast", 60),
    ("verify/quick/exact", 60), ("torch/2/eager", 60), ("tune/0/bf16/fast", 90), ("kernels/0/bf16/fast", 60))


def peer(precision, math):
    """Returns the precision of PyTorch to compare with."""
    return "tf32" if (precision, math) == ("fp32", "fast") else precision


def all_steps(options):
    """Returns a dictionary name → command, in the order in which the steps run."""
    ours = [str(options.resnet)]
    steps = {}
    if shutil.which("clinfo"):
        steps["clinfo"] = ["clinfo"]
    steps["devices"] = [*ours, "devices", "--json"]
    for name in PROBES:
        quick = ["--quick"] if options.quick else []
        steps[f"probe/{name}"] = [sys.executable, str(HERE / "gpu_probes.py"), name, *quick, "--device", options.device]
    for math in MATHS:
        how = ["--device", options.device, "--math", math, "--json"]
        few = ["--filter", "maxPool"] if options.quick else []
        if options.minutes:
            steps[f"verify/quick/{math}"] = [*ours, "verify", "--quick", *few, *how]
        else:
            steps[f"verify/{math}"] = [*ours, "verify", *(["--quick", "--filter", "7"] if options.quick else []), *how]
    later = {}
    for model, batch, size in options.cases:
        name, sizes = f"{model}:{batch}:{size}", [model, "--batch-size", str(batch), "--image-size", str(size)]
        for precision in PRECISIONS:
            for math in MATHS:
                kind = f"{name}/{precision}/{math}"
                how = ["--device", options.device, "--precision", precision, "--math", math, "--json"]
                steps[f"tune/{kind}"] = [*ours, "tune", *sizes, *how, "--budget", str(options.tune_budget)]
                steps[f"model/{kind}"] = [*ours, "bench", "model", *sizes, *how, "--steps", str(options.steps), "--profile"]
                later[f"kernels/{kind}"] = [*ours, "bench", "kernels", *sizes, *how, "--repeats", str(options.steps)]
        for mode in TORCH_MODES:
            steps[f"torch/{name}/{mode}"] = [
                options.python, str(HERE / "torch_throughput.py"), *sizes, "--steps", str(options.steps), "--device", options.torch_device,
                "--layout", "channels_last", *(["--compile"] if mode == "compile" else []), "--precision",
                *dict.fromkeys(peer(precision, math) for math in MATHS for precision in PRECISIONS)]
    return steps | later


def short_steps(options, steps):
    """Returns the steps of --minutes as (name, command, seconds), in order of worth."""
    cases = [f"{model}:{batch}:{size}" for model, batch, size in options.cases]
    chosen = []
    for name, seconds in SHORT_STEPS:
        parts = name.split("/")
        if len(parts) > 1 and parts[1].isdigit():
            if int(parts[1]) >= len(cases):
                continue
            parts[1] = cases[int(parts[1])]
        name = "/".join(parts)
        if name in steps:
            chosen.append((name, steps[name], seconds * options.minutes / 10))
    return chosen


def run(command, limit):
    """Returns {"seconds", "output", "error"}. The output of a failed step is kept up to the failure."""
    start = time.monotonic()
    try:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, env=os.environ | driver())
    except OSError as error:
        return {"seconds": 0, "output": "", "error": str(error)}
    error = None
    try:
        output, complaints = process.communicate(timeout=limit)
        if process.returncode != 0:
            error = f"exited with {process.returncode}: {complaints.strip()[-2000:]}"
    except subprocess.TimeoutExpired:
        # Kills the compilers that the step has started, too.
        os.killpg(process.pid, signal.SIGKILL)
        try:
            output, complaints = process.communicate(timeout=5)
        except subprocess.TimeoutExpired as left:
            # A process that waits for a driver in the kernel does not end. The other steps go on without it.
            output, complaints = ((text or b"").decode(errors="replace") for text in (left.stdout, left.stderr))
        error = f"took more than {limit:.0f} s: {complaints.strip()[-2000:]}"
    return {"seconds": time.monotonic() - start, "output": output, "error": error}


def result(name, output):
    """Returns the parsed output of the step."""
    kind = name.split("/")[0]
    if kind == "clinfo":
        return output
    if kind == "torch":
        # There is one line for each precision that was finished. A step that was ended may have left a part of a line.
        return [json.loads(line) for line in output.splitlines(keepends=True) if line.endswith("\n")]
    return json.loads(output) if output.strip() else None


def perform(name, command, limit):
    done = run(command, limit)
    step = {"command": command, "seconds": round(done["seconds"], 2), "error": done["error"]}
    try:
        step["result"] = result(name, done["output"])
    except ValueError as error:
        step |= {"result": None, "output": done["output"][-2000:], "error": done["error"] or f"printed no JSON: {error}"}
    return step


def wanted(name, patterns):
    return any(fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(name, f"{pattern}/*") for pattern in patterns)


def speeds(steps, name):
    """Returns the result of a step, or {} if it has none."""
    return steps.get(name, {}).get("result") or {}


def comparison(steps, cases):
    """Returns a row for each model/ step that has a result: its speeds, PyTorch's, and the ratio to the faster of PyTorch's."""
    rows = []
    for model, batch, size in cases:
        name = f"{model}:{batch}:{size}"
        for precision in PRECISIONS:
            for math in MATHS:
                ours = speeds(steps, f"model/{name}/{precision}/{math}")
                if not ours:
                    continue
                row = {"case": name, "precision": precision, "math": math, "peak_bytes": ours["peak_bytes"]}
                for key in SPEEDS:
                    theirs = {mode: line[key] for mode in TORCH_MODES for line in speeds(steps, f"torch/{name}/{mode}")
                              if line["precision"] == peer(precision, math)}
                    row[key] = {"resnet": ours[key], **theirs, "ratio": ours[key] / max(theirs.values()) if theirs else None}
                rows.append(row)
    return rows


def table(rows):
    header = ["", *(f"{what} {name}" for what in ("train", "infer") for name in ("resnet", *TORCH_MODES, "ratio")), "MB"]
    lines = [header]
    for row in rows:
        line = [f"{row['case']} {row['precision']} {row['math']}"]
        for key in SPEEDS:
            figures = row[key]
            line += [f"{figures[name]:.1f}" if name in figures else "" for name in ("resnet", *TORCH_MODES)]
            line.append(f"{figures['ratio']:.2f}×" if figures["ratio"] else "")
        lines.append([*line, f"{row['peak_bytes'] / 1e6:.0f}"])
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return "\n".join("  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:]))]) for line in lines)


def summary(name, step):
    """Returns one line about a step."""
    outcome = step["error"] and f"FAILED: {step['error'].splitlines()[0][:200]}" or "done"
    if name.startswith("verify") and step["result"]:
        outcome = f"{step['result']['passed']} passed, {step['result']['failed']} failed on {step['result']['device']}"
    elif name.startswith("probe") and (step["result"] or {}).get("skipped"):
        outcome = f"not on this device: {step['result']['skipped'].splitlines()[0][:200]}"
    elif name.startswith("model") and step["result"]:
        outcome = ", ".join(f"{key.split('_')[0]} {step['result'][key]:.1f} images/s" for key in SPEEDS)
    return f"{name}: {outcome} ({step['seconds']:.0f} s)"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", type=case, metavar="MODEL:BATCH:SIZE", help="default: " + " ".join(CASES))
    parser.add_argument("--resnet", type=pathlib.Path, metavar="PATH", default=HERE.parent / ".build" / "release" / "resnet")
    parser.add_argument("--device", default="opencl", help="for the program: opencl or opencl:P.D (default: %(default)s)")
    parser.add_argument("--only", metavar="STEP[,STEP]", type=lambda text: text.split(","), default=["*"], help="the steps to run")
    parser.add_argument("--list", action="store_true", help="print the names of the steps, and end")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", default=pathlib.Path("gpu_check.json"), help="default: %(default)s")
    parser.add_argument("--limit", type=float, metavar="SECONDS", help="start no step after so many seconds, and end the last by then")
    parser.add_argument("--minutes", type=float, metavar="MINUTES", help="take only the steps worth most, and end within so many minutes")
    parser.add_argument("--step-limit", type=float, metavar="SECONDS", default=600, help="for each step (default: %(default)s)")
    parser.add_argument("--tune-budget", type=float, metavar="SECONDS", default=60, help="for each tune step (default: %(default)s)")
    parser.add_argument("--steps", type=int, help="training steps, and calls of a kernel, that are timed (default: 20, with --quick 2)")
    parser.add_argument("--quick", action="store_true", help="small cases, few checks: a try on any device")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that has PyTorch (default: this one)")
    parser.add_argument("--torch-device", choices=["cuda", "cpu"], default="cuda")
    options = parser.parse_args()
    usual = QUICK_CASES if options.quick else SHORT_CASES if options.minutes else CASES
    options.cases = options.cases or [case(text) for text in usual]
    options.steps = options.steps or (2 if options.quick else 10 if options.minutes else 20)
    if options.minutes is not None:
        if options.minutes <= 0 or options.limit:
            parser.error("--minutes: a number above 0, without --limit")
        # Keeps back what ending a step that hangs may take.
        options.limit = max(1, options.minutes * 60 - 10)
        options.tune_budget = min(options.tune_budget, options.minutes * 6)
    if options.quick:
        options.tune_budget = min(options.tune_budget, 5)
    if not options.resnet.is_file():
        parser.error(f"no program {options.resnet}: build it with swift build -c release, or name it with --resnet")
    options.resnet = options.resnet.resolve()
    steps = all_steps(options)
    planned = short_steps(options, steps) if options.minutes else [(*step, options.step_limit) for step in steps.items()]
    planned = [step for step in planned if wanted(step[0], options.only)]
    if not planned:
        parser.error(f"no step is called {', '.join(options.only)}: --list shows the names")
    if options.list:
        print("\n".join(name for name, _, _ in planned))
        return

    report = json.loads(options.json.read_text()) if options.json.exists() else {"steps": {}}
    report |= {"machine": platform.node(), "cpus": os.cpu_count(), "resnet": str(options.resnet)}
    end = time.monotonic() + options.limit if options.limit else float("inf")
    missed = []
    for name, command, seconds in planned:
        left = end - time.monotonic()
        if left < 1:
            missed.append(name)
            continue
        step = perform(name, command, min(left, seconds, options.step_limit))
        report["steps"][name] = step
        report["comparison"] = comparison(report["steps"], options.cases)
        # Writes the file after each step, and replaces it as a whole, so that an interruption loses no finished step.
        new = options.json.with_name(options.json.name + ".new")
        new.write_text(json.dumps(report, indent=1) + "\n")
        new.replace(options.json)
        print(summary(name, step), file=sys.stderr, flush=True)
    print(table(report.get("comparison", [])))
    failed = [name for name, _, _ in planned if report["steps"].get(name, {}).get("error")]
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    if missed:
        print(f"\nno time left for: {', '.join(missed)}")
    sys.exit(1 if failed or missed else 0)


if __name__ == "__main__":
    main()
