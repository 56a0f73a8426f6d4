#!/usr/bin/env python3
"""Reports the kernels' registers, spills, local memory and occupancy on an NVIDIA GPU, before any of them runs and without a GPU.

Compiles OpenCL C to PTX with clang and libclc, and PTX to machine code with ptxas. The driver has another compiler, but it
ends in the same ptxas: expect the same magnitudes, not the same numbers. A PROFILE is the output of
`resnet bench model … --profile --json`, or the file of gpu_check.py; it contains the kernels of a training step as they were
specialized. A kernel can also be named with its constants: 'batch_norm.cl normalize -DVW=4 -DRELU=1'. Without arguments,
every kernel is compiled with its defaults. RESNET_KERNELS names another folder of kernels.

Needs: apt-get install clang-15 libclc-15 (or a later pair); pip install nvidia-cuda-nvcc-cu12
"""

import argparse
import concurrent.futures
import dataclasses
import glob
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile

# RESNET_KERNELS selects another folder of kernels, as it does for `resnet`.
KERNELS = pathlib.Path(os.environ.get("RESNET_KERNELS", pathlib.Path(__file__).resolve().parent.parent / "Kernels"))


@dataclasses.dataclass(frozen=True)
class Multiprocessor:
    """Resources that one multiprocessor shares among its work-groups. CUDA C++ programming guide, "Compute capabilities"."""

    registers: int
    shared: int  # bytes
    threads: int
    groups: int
    reserved: int = 1024  # bytes of shared memory that each work-group takes in addition to its own


MULTIPROCESSORS = {
    "sm_80": Multiprocessor(65536, 164 << 10, 2048, 32),
    "sm_86": Multiprocessor(65536, 100 << 10, 1536, 16),
    "sm_89": Multiprocessor(65536, 100 << 10, 1536, 24),
    "sm_90": Multiprocessor(65536, 228 << 10, 2048, 32),
    "sm_90a": Multiprocessor(65536, 228 << 10, 2048, 32),
}


def round_up(value, unit):
    return -(-value // unit) * unit


def occupancy(unit, registers, shared, threads):
    """Returns (work-groups of one multiprocessor, share of its threads, limiting resource)."""
    warps = -(-threads // 32)
    # Registers are allocated per warp, in units of 256, and for four warps at a time, one in each quarter of a multiprocessor.
    by_registers = unit.registers // round_up(max(registers, 1) * 32, 256) // 4 * 4 // warps
    limits = {
        "groups": unit.groups,
        "threads": unit.threads // 32 // warps,
        "local memory": unit.shared // round_up(shared + unit.reserved, 128),
        "registers": by_registers,
    }
    limit = min(limits, key=limits.get)
    return limits[limit], limits[limit] * warps * 32 / unit.threads, limit


@dataclasses.dataclass(frozen=True)
class Specialization:
    source: str
    kernel: str
    options: tuple


def source_of(kernel):
    """Returns the name of the file that contains the kernel."""
    for path in sorted(KERNELS.glob("*.cl")):
        if kernel in kernels_of(path):
            return path.name
    raise ValueError(f"no file of {KERNELS} has a kernel {kernel}")


def kernels_of(path):
    """Returns the names of a file's kernels, in the order of the file."""
    return re.findall(r"__kernel\b[^{;]*?\bvoid\s+(\w+)\s*\(", path.read_text())


def parse(text):
    """Parses a specialization such as 'batch_norm.cl normalize -DVW=4'. Without a file, the first one that has the kernel
    is used."""
    words = text.split()
    source = words.pop(0) if words[0].endswith(".cl") else source_of(words[0])
    return Specialization(source, words[0], tuple(words[1:]))


def profiles(value):
    """Yields every list of kernels in a JSON value: that of a profile, or those of all profiles in a longer report."""
    if isinstance(value, dict):
        if isinstance(value.get("profile"), dict):
            yield value["profile"]["kernels"]
        for member in value.values():
            yield from profiles(member)
    elif isinstance(value, list):
        for member in value:
            yield from profiles(member)


def of_profiles(path):
    """Returns specialization → seconds per step for the profiles of a file, longest first, without commands of the driver
    and CLBlast."""
    seconds = {}
    for kernels in profiles(json.loads(pathlib.Path(path).read_text())):
        for kernel in kernels:
            if kernel["program"] is not None:
                source, *constants = kernel["program"].split()
                name = Specialization(source, kernel["kernel"].split()[0], tuple(constants))
                seconds[name] = seconds.get(name, 0) + kernel["seconds"]
    return dict(sorted(seconds.items(), key=lambda item: -item[1]))


class Tools:
    """The compilers and their command lines."""

    def __init__(self, options):
        self.arch = options.arch
        found = filter(None, (shutil.which(name) for name in ("clang", *(f"clang-{n}" for n in range(30, 13, -1)))))
        # Some clangs, for example Swift's, lack this target.
        self.clang = options.clang or next((path for path in found if "nvptx64" in run([path, "--print-targets"])), None)
        self.library = next((p for p in glob.glob("/usr/*/clc/nvptx64--nvidiacl.bc")), None)
        wheel = pathlib.Path(sysconfig.get_path("purelib")) / "nvidia"
        self.ptxas = options.ptxas or shutil.which("ptxas") or next((str(p) for p in sorted(wheel.glob("*/bin/ptxas"))), None)
        for name, path, package in (("clang", self.clang, "clang-15"), ("libclc", self.library, "libclc-15"),
                                    ("ptxas", self.ptxas, "pip install nvidia-cuda-nvcc-cu12")):
            if not path:
                sys.exit(f"no {name}: {package}")

    def front(self, specialization, *more):
        """Runs clang. FP_FAST_FMAF is defined because the driver's compiler defines it too."""
        # sm_80 is the newest target that this clang knows for certain; ptxas gets the requested one.
        command = [
            self.clang, "-x", "cl", "-cl-std=CL1.2", "-target", "nvptx64-nvidia-nvcl", "-Xclang", "-finclude-default-header",
            "-Xclang", "-target-cpu", "-Xclang", "sm_80", "-Xclang", "-target-feature", "-Xclang", "+ptx75", "-O3", "-w",
            "-DFP_FAST_FMAF=1", f"-I{KERNELS}", *specialization.options, str(KERNELS / specialization.source), *more]
        return run(command)

    def ptx(self, specialization, size):
        """Returns the program as PTX for `arch`. The kernel declares its work-group size, as the driver's compiler makes it
        declare it."""
        text = self.front(
            specialization, "-S", "-o", "-", "-Xclang", "-mlink-builtin-bitcode", "-Xclang", self.library,
            # Everything is inlined, because the driver's compiler leaves no call.
            "-mllvm", "-inline-threshold=1000000")
        text = re.sub(r"^\.version .*", ".version 8.0", text, count=1, flags=re.M)
        text = re.sub(r"^\.target .*", f".target {self.arch}, texmode_independent", text, count=1, flags=re.M)
        if size:
            entry = re.compile(rf"(\.entry {specialization.kernel}\(.*?\n\))", re.S)
            text = entry.sub(lambda match: f"{match[1]}\n.reqntid {size[0]}, {size[1]}, {size[2]}", text, count=1)
        return text

    def group(self, specialization):
        """Returns the work-group size that the kernel requires, or None."""
        text = self.front(specialization, "-S", "-emit-llvm", "-Xclang", "-disable-llvm-passes", "-o", "-")
        node = re.search(rf"^define [^\n]*@{specialization.kernel}\([^\n]*!reqd_work_group_size (!\d+)", text, re.M)
        sizes = node and re.search(rf"^{node[1]} = !{{i32 (\d+), i32 (\d+), i32 (\d+)}}", text, re.M)
        return tuple(map(int, sizes.groups())) if sizes else None

    def account(self, specialization, threads):
        """Returns the figures that ptxas reports for the kernel. `threads`: work-group size if the kernel requires none."""
        size = self.group(specialization)
        ptx = self.ptx(specialization, size)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "kernel.ptx"
            path.write_text(ptx)
            said = run([self.ptxas, "-v", f"-arch={self.arch}", "--entry", specialization.kernel, str(path),
                        "-o", str(path.with_suffix(".cubin"))], errors=True)
        number = lambda pattern: int(found[1]) if (found := re.search(pattern, said)) else 0
        total = size[0] * size[1] * size[2] if size else threads
        registers, shared = number(r"Used (\d+) registers"), number(r"(\d+) bytes smem")
        groups, share, limit = occupancy(MULTIPROCESSORS[self.arch], registers, shared, total)
        return {
            "source": specialization.source, "kernel": specialization.kernel, "options": list(specialization.options),
            "registers": registers, "stack_bytes": number(r"(\d+) bytes stack frame"),
            "spill_store_bytes": number(r"(\d+) bytes spill stores"), "spill_load_bytes": number(r"(\d+) bytes spill loads"),
            "local_bytes": shared, "group": total, "demanded": size is not None, "groups": groups, "occupancy": share,
            "limited_by": limit,
        }


def run(command, errors=False):
    """Runs a command that must succeed. Returns its standard output, or its standard error with `errors`."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{os.path.basename(command[0])}: {done.stderr.strip()[:2000]}")
    return done.stderr if errors else done.stdout


def table(rows):
    header = ["kernel", "registers", "spilled", "stack", "local", "group", "groups", "occupancy", "limited by"]
    cells = [header]
    for row in rows:
        name = f"{row['source']} {row['kernel']} {' '.join(option.removeprefix('-D') for option in row['options'])}".strip()
        if "error" in row:
            cells.append([name, row["error"].splitlines()[0]] + [""] * (len(header) - 2))
            continue
        cells.append([
            name, str(row["registers"]), str(row["spill_store_bytes"] + row["spill_load_bytes"]), str(row["stack_bytes"]),
            str(row["local_bytes"]), f"{row['group']}{'' if row['demanded'] else '?'}", str(row["groups"]),
            f"{row['occupancy'] * 100:.0f} %", row["limited_by"]])
    # An error message takes the rest of its line, so it does not widen the columns.
    widths = [max(len(line[i]) for line in cells if line[-1]) for i in range(len(header))]
    widths[0] = max(len(line[0]) for line in cells)
    return "\n".join("  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:]))]).rstrip()
                     for line in cells)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("subjects", nargs="*", metavar="PROFILE|KERNEL", help="a JSON file, or a kernel with its constants")
    parser.add_argument("--arch", choices=MULTIPROCESSORS, default="sm_90", help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=256, help="work-items of a work-group, for kernels that demand none; "
                        "marked with ? in the table (default: %(default)s)")
    parser.add_argument("--clang", help="default: the first on PATH that has the target nvptx64")
    parser.add_argument("--ptxas", help="default: that on PATH, else of the Python package")
    parser.add_argument("--filter", default="", help="only kernels whose name contains this")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the rows")
    options = parser.parse_args()
    if not 1 <= options.threads <= 1024:
        parser.error("--threads: from 1 to 1024")

    wanted = []
    try:
        for subject in options.subjects:
            wanted += of_profiles(subject) if subject.endswith(".json") else [parse(subject)]
    except (ValueError, KeyError, OSError) as error:
        parser.error(f"{subject}: {error}")
    if not options.subjects:
        wanted = [Specialization(path.name, name, ()) for path in sorted(KERNELS.glob("*.cl")) for name in kernels_of(path)]
    wanted = [s for s in dict.fromkeys(wanted) if options.filter in s.kernel]
    tools = Tools(options)

    def account(specialization):
        try:
            return tools.account(specialization, options.threads)
        except RuntimeError as error:
            return {**dataclasses.asdict(specialization), "error": str(error)}

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        rows = list(pool.map(account, wanted))
    if options.json:
        options.json.write_text(json.dumps({"arch": options.arch, "kernels": rows}, indent=2) + "\n")
    print(f"{options.arch}; spilled, stack and local in bytes; groups and occupancy of one multiprocessor, without local memory that is"
          " an argument")
    print(table(rows))
    sys.exit(1 if any("error" in row for row in rows) else 0)


if __name__ == "__main__":
    main()
