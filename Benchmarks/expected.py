#!/usr/bin/env python3
"""Computes how long a training step should take on a GPU, and says which assumption a measurement contradicts.

    expected.py                                    a table for all GPUs and the usual networks
    expected.py resnet50:256:224 --precision bf16 --gpu H200
    expected.py --compare gpu.json --gpu H200      against a file of gpu_check.py

Four causes add up to the time of a step. "instructions" is the time of the main loops of all matrix products if every
multiprocessor were busy. "waves" is what it takes longer because tiles overhang the result, and because the last wave of
work-groups does not fill the GPU. "bytes" is what memory adds: the passes of batch normalization and the like, and what
products wait for memory. "launches" is the time between kernels. machines.py holds the assumptions, planned.py the program's
choice of tiles. The layers come from `resnet summary --json`.
"""

import argparse
import dataclasses
import json
import math
import pathlib
import subprocess
import sys

import planned
from machines import GPUS, LOCAL_BYTES, LOOPS, REGISTERS, WARPS, issued
from throughput import HERE, case

CASES = ("resnet50:256:224", "resnet18:256:224", "resnet20:128:32")
KINDS = ("fp32/exact", "fp32/fast", "bf16/fast")
CAUSES = ("instructions", "waves", "bytes", "launches")
PARTS = ("forward and input gradients", "filter gradients", "batch normalization", "other")


@dataclasses.dataclass(frozen=True)
class Convolution:
    """Shapes: x [n, h, w, c], y [n, p, q, k], filter r×r."""

    n: int
    h: int
    w: int
    c: int
    p: int
    q: int
    k: int
    r: int
    is_first: bool   # the network's input needs no gradient

    @property
    def stride(self):
        return -(-self.h // self.p)


@dataclasses.dataclass
class Cost:
    """Seconds for each cause, and launches."""

    instructions: float = 0
    waves: float = 0
    bytes: float = 0
    launches: int = 0

    def add(self, other):
        for field in dataclasses.fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


def layers_of(summary, image_size, channels=3):
    """Returns the convolutions of a summary, and (elements, block, whether in a shortcut) of its batch normalizations."""
    block, entry, convolutions, norms = None, None, [], []
    shape = [summary["batch_size"], image_size, image_size, channels]
    for layer in summary["layers"]:
        name, output = layer["name"], layer["output"]
        prefix = name.rsplit(".", 2)[0] if ".downsample." in name or ".shortcut." in name else name.rpartition(".")[0]
        if prefix != block:
            block, entry = prefix, shape
        beside = ".downsample" in name or ".shortcut" in name
        if layer["macs"] and len(output) == 4:
            n, h, w, c = entry if beside else shape
            _, p, q, k = output
            taps = layer["macs"] / (n * p * q * k * c)
            if math.isqrt(round(taps)) ** 2 != taps:
                raise ValueError(f"{name}: convolutions with channel groups have no model")
            convolutions.append(Convolution(n, h, w, c, p, q, k, math.isqrt(round(taps)), not convolutions))
        elif layer["parameters"] and len(output) == 4:
            norms.append((math.prod(output), prefix, beside))
        if not beside:
            shape = output
    return convolutions, norms


def product(gpu, rows, columns, depth, kind, input_width, moved, plan=None, points=1):
    """Returns the cost of a matrix product, or of `points` equal ones, that reads and writes `moved` bytes."""
    factors, mma = kind
    plan = plan or planned.choose(rows, columns, depth, factors, input_width, gpu.units)
    loop = LOOPS[factors, plan.item_rows, plan.item_columns]
    warps = plan.items // 32
    resident = max(1, min(REGISTERS // (-(-loop.registers // 8) * 8 * plan.items), WARPS // warps,
                          LOCAL_BYTES // (plan.local_bytes + 1024)))
    if mma:
        # A matrix instruction of 16·8 results and 8 words has 2048 operations for each factor of a word.
        rate = loop.useful / loop.instructions * issued(resident * warps, factors) * gpu.clock * gpu.units * 2048 * plan.per_word
        rate = min(rate, gpu.mma[mma] * 0.9)
    else:
        # A multiply-add of a warp has 64 operations.
        rate = loop.useful / loop.instructions * issued(resident * warps, factors) * gpu.clock * gpu.units * 64
        rate = min(rate, gpu.fp32 * 0.92)
    groups, slots = plan.groups * plan.splits * points, gpu.units * resident
    full = groups if groups > 3 * slots else math.ceil(groups / slots) * slots
    useful = 2 * rows * columns * depth * points / rate
    taken = 2 * plan.rows * plan.columns * math.ceil(depth / plan.splits / plan.depth) * plan.depth * full / rate
    cost = Cost(useful, max(0, taken - useful), max(0, moved / (0.85 * gpu.bandwidth) - max(taken, useful)), 1)
    if plan.splits > 1:
        cost.add(Cost(bytes=2 * plan.splits * rows * columns * 4 / (0.7 * gpu.bandwidth), launches=1))
    return cost


def winograd(gpu, layer, side, is_gradient, kind):
    """Returns the cost of a convolution by Winograd's F(side×side, 3×3): transforms, products, transform."""
    points, tiles = (side + 2) ** 2, layer.n * math.ceil(layer.p / side) * math.ceil(layer.q / side)
    rows, depth = (layer.c, tiles) if is_gradient else (tiles, layer.c)
    plan = planned.choose(rows, layer.k, depth, "fp32", 4, max(1, gpu.units // points))
    cost = product(gpu, rows, layer.k, depth, kind, 4, 0, plan, points)
    channels = layer.c + layer.k
    values = 2 * points * tiles * channels + layer.n * layer.p * layer.q * channels + 3 * points * layer.c * layer.k
    cost.add(Cost(bytes=4 * values / (0.7 * gpu.bandwidth), launches=3))
    return cost


def convolution(gpu, layer, kind, size):
    """Returns the costs of (forward pass and input gradient, filter gradient). `size`: bytes of an activation."""
    n, c, k, r, stride = layer.n, layer.c, layer.k, layer.r, layer.stride
    pixels, terms = n * layer.p * layer.q, r * r * c
    x, y, width = n * layer.h * layer.w * c * size, pixels * k * size, 4 if c % 4 == 0 else 1

    def fits(side):
        macs = pixels * terms * k
        return r == 3 and stride == 1 and planned.uses_winograd(c, k, macs, kind[0], side, gpu.units)

    both = winograd(gpu, layer, 2, False, kind) if fits(2) else product(gpu, pixels, k, terms, kind, width, x + y + 4 * terms * k)
    filters = winograd(gpu, layer, 4, True, kind) if fits(4) else product(gpu, terms, k, pixels, kind, width, x + y)
    if not layer.is_first:
        if fits(4):
            both.add(winograd(gpu, layer, 4, False, kind))
        else:
            # With a stride, each phase of the input has its own taps. One more kernel turns the filter.
            taps = [r * r] if stride == 1 else [1] if r == 1 else [1, 2, 2, 4]
            for count in taps:
                rows = n * (layer.h // stride) * (layer.w // stride)
                both.add(product(gpu, rows, c, count * k, kind, 4 if k % 4 == 0 else 1, y / len(taps) + 1.3 * x / stride ** 2))
            both.add(Cost(launches=len(taps)))
    return both, filters


def expect(gpu, summary, image_size, precision, math_mode):
    """Returns {part → cost} of a training step."""
    size = 4 if precision == "fp32" else 2
    mma = None if math_mode == "exact" and precision == "fp32" else "tf32" if precision == "fp32" else precision
    kind = ("fp32" if not mma else "tf32" if mma == "tf32" else "16 bit", mma)
    convolutions, norms = layers_of(summary, image_size)
    parts = {part: Cost() for part in PARTS}
    for layer in convolutions:
        both, filters = convolution(gpu, layer, kind, size)
        parts[PARTS[0]].add(both)
        parts[PARTS[1]].add(filters)
    last = {block: index for index, (_, block, beside) in enumerate(norms) if block and not beside}
    speed = gpu.bandwidth * gpu.copy_share[4 * size]   # vectors of four
    for index, (count, block, _) in enumerate(norms):
        # Statistics 1, normalization 2, sums of the gradient 2, gradient 3; the end of a block also reads and writes its shortcut.
        passes = 8 + (3 if last.get(block) == index else 0)
        parts[PARTS[2]].add(Cost(bytes=passes * count * size / speed, launches=6))
    weights = summary["parameters"] * 4 * 5
    pooled = next((math.prod(layer["output"]) for layer in summary["layers"] if layer["name"] == "maxpool"), 0)
    parts[PARTS[3]].add(Cost(bytes=weights / (0.7 * gpu.bandwidth) + 10.5 * pooled * size / (0.6 * gpu.bandwidth), launches=24))
    return parts


def total(parts):
    whole = Cost()
    for cost in parts.values():
        whole.add(cost)
    return whole


def seconds(gpu, cost, arguments=25):
    """Returns {cause → seconds}. The host and the device work at the same time, and the slower one sets the pace."""
    host = cost.launches * (gpu.host_launch + arguments * gpu.set_argument)
    work = cost.instructions + cost.waves + cost.bytes
    gaps = cost.launches * gpu.launch
    return {"instructions": cost.instructions, "waves": cost.waves, "bytes": cost.bytes, "launches": max(gaps, host - work)}


def summary_of(program, model, batch, size):
    command = [str(program), "summary", model, "--batch-size", str(batch), "--image-size", str(size), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise ValueError(done.stderr.strip())
    return json.loads(done.stdout) | {"batch_size": batch}


def row(name, gpu, summary, batch, size, kind):
    times = seconds(gpu, total(parts := expect(gpu, summary, size, *kind.split("/"))))
    whole = sum(times.values())
    causes = "".join(f"{times[cause] * 1e3:14.2f}" for cause in CAUSES)
    return f"{name:34}{batch / whole:10.0f}{whole * 1e3:9.2f}{causes}{total(parts).launches:10d}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", type=case, metavar="MODEL:BATCH:SIZE", help="default: " + " ".join(CASES))
    parser.add_argument("--gpu", choices=GPUS, help="default: all, and H200 with --compare")
    parser.add_argument("--precision", choices=["fp32", "fp16", "bf16"], help="only this storage type")
    parser.add_argument("--resnet", type=pathlib.Path, metavar="PATH", default=HERE.parent / ".build" / "release" / "resnet")
    parser.add_argument("--compare", type=pathlib.Path, metavar="FILE", help="a file of gpu_check.py")
    options = parser.parse_args()
    if not options.resnet.is_file():
        parser.error(f"no program {options.resnet}: build it with swift build -c release, or name it with --resnet")
    try:
        if options.compare:
            import compared
            compared.report(json.loads(options.compare.read_text()), GPUS[options.gpu or "H200"], options.resnet)
            return
        print(f"{'':34}{'images/s':>10}{'ms':>9}" + "".join(f"{cause:>14}" for cause in CAUSES) + f"{'kernels':>10}")
        kinds = KINDS if options.precision is None else [k for k in (*KINDS, "fp16/fast") if k.startswith(options.precision)]
        for model, batch, size in options.cases or map(case, CASES):
            summary = summary_of(options.resnet, model, batch, size)
            for gpu in [options.gpu] if options.gpu else GPUS:
                for kind in kinds:
                    print(row(f"{gpu} {model}:{batch}:{size} {kind}", GPUS[gpu], summary, batch, size, kind))
    except (ValueError, OSError) as error:
        sys.exit(f"expected.py: {error}")


if __name__ == "__main__":
    main()
