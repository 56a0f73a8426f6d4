"""Compares the expectation of expected.py with a file of gpu_check.py: which assumption was wrong, and by how much."""

import dataclasses

from expected import PARTS, expect, seconds, summary_of, total


def rows_of(report, probe):
    result = report["steps"].get(f"probe/{probe}", {}).get("result") or {}
    return result.get("rows", [])


def measured_fields(report, gpu):
    """Returns {assumption → (field of GPU, measured value of the field, assumed number, measured number)} for those measured."""
    found = {}
    probes = [step["result"] for name, step in report["steps"].items() if name.startswith("probe/") and step["result"]]
    if units := next((result["units"] for result in probes), None):
        found["multiprocessors"] = ("units", units, gpu.units, units)
    copies = {}
    for row in rows_of(report, "copy"):
        copies[row["bytes_per_item"]] = max(copies.get(row["bytes_per_item"], 0), row["bytes_per_second"])
    if copies:
        best = max(copies.values())
        found["bandwidth, bytes/s"] = ("bandwidth", best, gpu.bandwidth, best)
        # A copy shows the effect of the width alone, not that of the other work of a pass.
        for width, speed in copies.items():
            share = dict(gpu.copy_share) | {width: speed / best}
            found[f"share of it at {width} bytes an item"] = ("copy_share", share, gpu.copy_share[width], speed / best)
    for row in rows_of(report, "arithmetic"):
        found["float32, operations/s"] = ("fp32", row["flops"], gpu.fp32, row["flops"])
    rates = {}
    for row in rows_of(report, "mma"):
        rates[row["type"]] = max(rates.get(row["type"], 0), row.get("flops", 0))
    for name, rate in rates.items():
        if rate:
            found[f"mma {name}, operations/s"] = ("mma", gpu.mma | {name: rate}, gpu.mma[name], rate)
    launches = {row["arguments"]: row for row in rows_of(report, "launch")}
    if {1, 25} <= launches.keys():
        per_argument = max(0, launches[25]["host_seconds"] - launches[1]["host_seconds"]) / 24
        host = max(0, launches[1]["host_seconds"] - per_argument)
        found["launch on the device, s"] = ("launch", launches[1]["device_seconds"], gpu.launch, launches[1]["device_seconds"])
        found["setting an argument, s"] = ("set_argument", per_argument, gpu.set_argument, per_argument)
        found["enqueue on the host, s"] = ("host_launch", host, gpu.host_launch, host)
    return found


def as_measured(gpu, found):
    """Returns the GPU with all measured values."""
    merged = {}
    for field, value, _, measured in found.values():
        if isinstance(value, dict):
            # Each measurement changes one entry of the table.
            changed = {key: new for key, new in value.items() if new != getattr(gpu, field)[key]}
            merged[field] = merged.get(field, getattr(gpu, field)) | changed
        else:
            merged[field] = value
    return dataclasses.replace(gpu, **merged)


def part_of(kernel):
    """Returns the part of a step that a kernel belongs to. Sums of splits count as filter gradients, which have most of them."""
    name, program = kernel["kernel"], kernel["program"] or ""
    if "TRANSPOSED=1" in program or "filter_gradient" in name or name.startswith("add_partials"):
        return PARTS[1]
    if program.startswith(("convolution", "winograd", "batched_product", "pack_filter")):
        return PARTS[0]
    return PARTS[2] if program.startswith("batch_norm") else PARTS[3]


def profile_parts(profile):
    """Returns {part → (seconds, launches)} of a step."""
    parts = {part: (0.0, 0.0) for part in PARTS}
    for kernel in profile["kernels"]:
        time, launches = parts[part_of(kernel)]
        parts[part_of(kernel)] = (time + kernel["seconds"], launches + kernel["launches"])
    return parts


def compare_model(name, result, gpu, found, program):
    """Prints the comparison of one model/ step."""
    _, network, precision, math_mode = name.split("/")
    model, batch, size = network.split(":")
    summary = summary_of(program, model, int(batch), int(size))
    step = lambda machine: sum(seconds(machine, total(expect(machine, summary, int(size), precision, math_mode))).values())
    real, took, base = as_measured(gpu, found), int(batch) / result["train_images_per_second"], step(gpu)
    print(f"\n{network} {precision} {math_mode}: expected {base * 1e3:.2f} ms, with the measured values {step(real) * 1e3:.2f} ms, took "
          f"{took * 1e3:.2f} ms ({took / step(real):.2f}×)")
    effects = {what: step(dataclasses.replace(gpu, **{field: value})) - base for what, (field, value, _, _) in found.items()}
    for what, effect in sorted(effects.items(), key=lambda item: -abs(item[1])):
        if abs(effect) > 0.01 * base:
            print(f"  {what}: {effect * 1e3:+.2f} ms")
    if not result.get("profile"):
        return
    parts, costs = profile_parts(result["profile"]), expect(real, summary, int(size), precision, math_mode)
    works = {part: cost.instructions + cost.waves + cost.bytes for part, cost in costs.items()}
    print(f"  {'':30}{'expected ms':>12}{'took ms':>12}{'kernels':>10}{'took':>8}")
    for part in PARTS:
        print(f"  {part:30}{works[part] * 1e3:12.2f}{parts[part][0] * 1e3:12.2f}{costs[part].launches:10d}{parts[part][1]:8.0f}")
    idle = result["profile"]["idle_seconds"]
    print(f"  {'idle between kernels':30}{seconds(real, total(costs))['launches'] * 1e3:12.2f}{idle * 1e3:12.2f}")
    worst = max(PARTS, key=lambda part: abs(parts[part][0] - works[part]))
    print(f"  what the measured values do not explain is largest in: {worst}")


def report(check, gpu, program):
    """Prints the comparison of all that the file of gpu_check.py has."""
    found = measured_fields(check, gpu)
    print(f"{'':34}{'assumed':>12}{'measured':>12}{'ratio':>8}")
    for what, (_, _, assumed, measured) in found.items():
        print(f"{what:34}{assumed:12.4g}{measured:12.4g}{measured / assumed:8.2f}")
    for row in rows_of(check, "local")[1:]:
        print(f"local memory of {row['bytes'] >> 10} KB: {'works' if row['works'] else 'does not work'}")
    for row in rows_of(check, "wgmma"):
        print(f"wgmma with {row['options'] or 'no options'}: {'works' if row['works'] else 'does not work'}")
    for name, step in check["steps"].items():
        if name.startswith("probe/") and (step["error"] or "skipped" in (step["result"] or {})):
            print(f"{name} not measured: {(step['error'] or step['result']['skipped']).splitlines()[0]}")
    for name, step in check["steps"].items():
        if name.startswith("model/") and step["result"]:
            compare_model(name, step["result"], gpu, found, program)
