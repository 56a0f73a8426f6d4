#!/usr/bin/env python3
"""Calls NVIDIA's OpenCL compiler without a GPU. Only Scripts/check-gpu-compilers uses this script.

    nvidia-compiler.py FOLDER                              fetches compiler and assembler into the folder, once
    nvidia-compiler.py FOLDER ARCH FILE.cl KERNEL|KERNEL… OPTIONS OUT
                                                           compiles; prints the problems of these kernels, or nothing

The compiler is a library of NVIDIA's driver, which Debian has in its non-free component. Its function NvCliCompileProgram
is not documented: it takes sources and options, and returns a log and PTX. ptxas, from PyPI, then reports register spills.
Neither is part of this project, or needed to build or run it.
"""
import ctypes
import glob
import os
import re
import subprocess
import sys


def fetch(folder):
    if glob.glob(f"{folder}/usr/lib/*/**/libnvidia-nvvm.so.*", recursive=True) and glob.glob(f"{folder}/venv/bin/python"):
        return
    os.makedirs(f"{folder}/apt/lists/partial", exist_ok=True)
    os.makedirs(f"{folder}/apt/archives/partial", exist_ok=True)
    sources = ""
    for path in glob.glob("/etc/apt/sources.list.d/*.sources") + ["/etc/apt/sources.list"]:
        if os.path.exists(path):
            sources += open(path).read()
    archive = re.search(r"^(?!#).*?(https?://\S+/debian)/?\s*$", sources, re.MULTILINE) or re.search(r"(https?://\S+/debian)\b", sources)
    release = re.search(r"VERSION_CODENAME=(\S+)", open("/etc/os-release").read())
    if not archive or not release:
        sys.exit("nvidia-compiler: this is no Debian, or it has no archive among its package sources")
    with open(f"{folder}/apt/sources.list", "w") as file:
        file.write(f"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {archive[1]} {release[1]} non-free\n")
    apt = [
        "apt-get", "-q", "-o", f"Dir::Etc::sourcelist={folder}/apt/sources.list", "-o", "Dir::Etc::sourceparts=-",
        "-o", f"Dir::State::lists={folder}/apt/lists", "-o", f"Dir::Cache={folder}/apt", "-o", "APT::Sandbox::User=root",
    ]
    run = lambda command, **rest: subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **rest)
    run(apt + ["update"])
    run(apt + ["download", "libnvidia-nvvm4"], cwd=folder)
    for package in glob.glob(f"{folder}/libnvidia-nvvm4_*.deb"):
        run(["dpkg", "-x", package, folder])
    run([sys.executable, "-m", "venv", f"{folder}/venv"])
    run([f"{folder}/venv/bin/pip", "install", "-q", "nvidia-cuda-nvcc-cu12==12.9.86"])


def compile_source(folder, architecture, source, options):
    path = max(glob.glob(f"{folder}/usr/lib/*/**/libnvidia-nvvm.so.*", recursive=True), key=len)
    compiler = ctypes.CDLL(path)
    text = source.encode()
    options = options.replace("-cl-std=", "-cl-nv-cstd=")
    log, ptx = ctypes.c_char_p(), ctypes.c_char_p()
    code = compiler.NvCliCompileProgram(
        (ctypes.c_char_p * 1)(text), ctypes.c_uint(1), (ctypes.c_size_t * 1)(len(text)),
        f"-cl-nv-arch {architecture} -nv-m64 {options}".encode(), ctypes.byref(log), ctypes.byref(ptx))
    return code, (log.value or b"").decode(errors="replace"), ptx.value or b""


def main():
    folder = sys.argv[1]
    if len(sys.argv) == 2:
        return fetch(folder)
    architecture, path, kernels, options, out = sys.argv[2:]
    code, log, ptx = compile_source(folder, architecture, open(path).read(), options)
    if code:
        sys.exit(log or f"the compiler ends with {code}")
    with open(f"{out}/kernel.ptx", "wb") as file:
        file.write(ptx)
    assembler = glob.glob(f"{folder}/venv/lib/python3*/site-packages/nvidia/cuda_nvcc/bin/ptxas")[0]
    done = subprocess.run(
        [assembler, "-v", f"-arch={architecture}", f"{out}/kernel.ptx", "-o", f"{out}/kernel.cubin"], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    name = ""
    for line in done.stderr.splitlines():
        function = re.search(r"Function properties for (\w+)", line)
        name = function[1] if function else name
        if re.fullmatch(kernels, name) and re.search(r"\b[1-9]\d* bytes spill", line):
            print(f"{name}: {line.strip()}")


main()
