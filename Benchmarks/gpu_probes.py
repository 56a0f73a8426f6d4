#!/usr/bin/env python3
"""Measures what a GPU can do at best, through OpenCL, and prints JSON: gpu_probes.py PROBE [--device opencl:P.D] [--quick]

    launch      seconds of a launch with 1 and with 25 arguments, on the host and in all
    copy        bytes per second of copies with 4, 8 and 16 bytes for each work-item
    arithmetic  float32 multiply-adds, in operations per second
    mma         matrix instructions of a warp (NVIDIA), in operations per second, for bf16, fp16 and tf32
    local       sizes of local memory beyond 48 KB with which a kernel runs
    wgmma       compiler options with which instructions of a warp group build and run (NVIDIA Hopper)

A probe that the device cannot run prints {"skipped": REASON}. Requires the standard library and an OpenCL driver.
"""

import argparse
import ctypes
import json
import sys
import time
from ctypes import byref, c_int, c_size_t

from opencl import Device, Refusal

COPY = """__kernel void copy(__global const T *x, __global T *y, int n) {
  for (int i = get_global_id(0); i < n; i += get_global_size(0)) y[i] = x[i];
}"""
ARITHMETIC = """__kernel void arithmetic(__global float *y, int n) {
  float s[16];
  for (int i = 0; i < 16; i++) s[i] = get_global_id(0) * 0.001f + i;
  for (int t = 0; t < n; t++)
    for (int i = 0; i < 16; i++) s[i] = fma(s[i], 0.999f, 0.001f);
  float sum = 0;
  for (int i = 0; i < 16; i++) sum += s[i];
  y[get_global_id(0)] = sum;
}"""
# Each lane multiplies numbers of its own, between 1/2 and 1 with both signs.
MMA = """__kernel __attribute__((reqd_work_group_size(256, 1, 1))) void mma(__global float *y, int n) {
  float c[16][4];
  uint f[6];
  for (int i = 0; i < 6; i++) f[i] = ((uint)(get_global_id(0) * 6 + i) * 2654435761u & MASK) | HALVES;
  for (int i = 0; i < 16; i++) for (int j = 0; j < 4; j++) c[i][j] = 0;
  #pragma unroll 1
  for (int t = 0; t < n; t++) {
    #pragma unroll
    for (int i = 0; i < 16; i++)
      __asm__ volatile(OP " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[i][0]), "+f"(c[i][1]), "+f"(c[i][2]), "+f"(c[i][3])
        : "r"(f[0]), "r"(f[1]), "r"(f[2]), "r"(f[3]), "r"(f[4]), "r"(f[5]));
  }
  float sum = 0;
  for (int i = 0; i < 16; i++) for (int j = 0; j < 4; j++) sum += c[i][j];
  y[get_global_id(0)] = sum;
}"""
# Name → (types in the instruction, depth of a product, free bits of a word of factors, exponents of 1/2).
MMA_TYPES = {"bf16": ("m16n8k16.row.col.f32.bf16.bf16.f32", 16, 0x807F807F, 0x3F003F00),
             "fp16": ("m16n8k16.row.col.f32.f16.f16.f32", 16, 0x83FF83FF, 0x38003800),
             "tf32": ("m16n8k8.row.col.f32.tf32.tf32.f32", 8, 0x807FE000, 0x3F000000)}
LOCAL = """__kernel void last(__local float *a, __global float *y, int n) {
  a[n - 1 - get_local_id(0)] = get_local_id(0);
  barrier(CLK_LOCAL_MEM_FENCE);
  y[get_local_id(0)] = a[n - 1 - (get_local_id(0) + 1) % get_local_size(0)];
}"""
WGMMA = """__kernel __attribute__((reqd_work_group_size(128, 1, 1))) void fence(__global float *y) {
  __asm__ volatile("wgmma.fence.sync.aligned;" ::: "memory");
  __asm__ volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
  __asm__ volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
  y[get_global_id(0)] = 1;
}"""


def empty_call(types, arguments, calls=20000):
    """Returns the seconds that Python takes to call a C function that does nothing, with such arguments."""
    function = ctypes.CDLL(None).getppid
    function.argtypes = types
    start = time.perf_counter()
    for _ in range(calls):
        function(*arguments)
    return (time.perf_counter() - start) / calls


def launch(device, quick):
    """The host's seconds are without those that Python adds to each call."""
    rows = []
    library, value, size = device.library, c_int(0), c_size_t(256)
    setting, enqueuing = library.clSetKernelArg, library.clEnqueueNDRangeKernel
    for count in (1, 25):
        kernel = device.kernel(f"__kernel void nothing({', '.join(f'int a{i}' for i in range(count))}) {{}}", "nothing")
        device.set(kernel, *[0] * count)
        device.seconds(kernel, 256, 256, 10, 1)
        order = (device.queue, kernel, 1, None, byref(size), byref(size), 0, None, None)
        python = count * empty_call(setting.argtypes, (kernel, 0, 4, byref(value))) + empty_call(enqueuing.argtypes, order)
        launches = 200 if quick else 20000
        start = time.perf_counter()
        for number in range(launches):
            for index in range(count):
                setting(kernel, index, 4, byref(value))
            if code := enqueuing(*order):
                raise Refusal(f"clEnqueueNDRangeKernel: error {code}")
            if number % 500 == 499:
                library.clFlush(device.queue)
        host = (time.perf_counter() - start) / launches
        device.finish()
        rows.append({"arguments": count, "host_seconds": max(0, host - python), "python_seconds": python,
                     "seconds": (time.perf_counter() - start) / launches,
                     "device_seconds": device.seconds(kernel, 256, 256, launches, 1)})
    return rows


def copy(device, quick):
    size = 1 << 24 if quick else min(1 << 30, device.info("largest_buffer") // 4)
    x, y, rows = device.buffer(size), device.buffer(size, 0), []
    for name, width in (("float", 4), ("float2", 8), ("float4", 16)):
        kernel = device.kernel(COPY, "copy", f"-DT={name}")
        device.set(kernel, x, y, size // width)
        for groups in (2, 4, 8):
            seconds = device.seconds(kernel, device.info("units") * groups * 256, 256, 1 if quick else 5)
            rows.append({"bytes_per_item": width, "groups_per_unit": groups, "bytes_per_second": 2 * size / seconds})
    if device.read(y, 4) != device.read(x, 4):
        raise Refusal("the copy differs")
    return rows


def arithmetic(device, quick):
    kernel, groups, steps = device.kernel(ARITHMETIC, "arithmetic"), device.info("units") * 8, 200 if quick else 20000
    device.set(kernel, device.buffer(groups * 1024), steps)
    return [{"flops": groups * 256 * 32 * steps / device.seconds(kernel, groups * 256, 256, 1 if quick else 3)}]


def nvidia_only(device):
    if "NVIDIA" not in device.info("vendor"):
        raise Refusal("PTX instructions need an NVIDIA GPU")


def mma(device, quick):
    nvidia_only(device)
    rows, units, steps = [], device.info("units"), 20 if quick else 4000
    y = device.buffer(units * 4 * 1024)
    for name, (types, depth, mask, halves) in MMA_TYPES.items():
        try:
            define = f'#define OP "mma.sync.aligned.{types}"\n#define MASK {mask}u\n#define HALVES {halves}u\n'
            kernel = device.kernel(define + MMA, "mma")
        except Refusal as error:
            rows.append({"type": name, "error": str(error)})
            continue
        device.set(kernel, y, steps)
        for groups in (1, 2, 4):
            operations = units * groups * 8 * steps * 16 * (2 * 16 * 8 * depth)
            seconds = device.seconds(kernel, units * groups * 256, 256, 2)
            rows.append({"type": name, "warps_per_unit": 8 * groups, "flops": operations / seconds})
    return rows


def local(device, quick):
    rows, name = [{"reported_bytes": device.info("local_bytes")}], device.name
    for kilobytes in (48, 49, 64, 100, 164, 227):
        # A refused launch can make a context useless, so each size has its own.
        row, fresh = {"bytes": kilobytes << 10}, Device(name)
        try:
            kernel, y, count = fresh.kernel(LOCAL, "last"), fresh.buffer(1024), 64
            fresh.set(kernel, ("local", kilobytes << 10), y, kilobytes << 8)
            fresh.launch(kernel, count, count)
            fresh.finish()
            row["works"] = fresh.read(y, count) == [float((i + 1) % count) for i in range(count)]
        except Refusal as error:
            row |= {"works": False, "error": str(error)}
        rows.append(row)
    return rows


def wgmma(device, quick):
    nvidia_only(device)
    rows = []
    for options in ("", "-cl-nv-arch sm_90a"):
        try:
            kernel = device.kernel(WGMMA, "fence", options)
            y = device.buffer(512, 0)
            device.set(kernel, y)
            device.launch(kernel, 128, 128)
            rows.append({"options": options, "works": device.read(y, 128) == [1.0] * 128})
        except Refusal as error:
            rows.append({"options": options, "works": False, "error": str(error)})
    return rows


PROBES = {probe.__name__: probe for probe in (launch, copy, arithmetic, mma, local, wgmma)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("probe", choices=PROBES)
    parser.add_argument("--device", default="opencl", help="opencl or opencl:P.D (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="few repetitions: a try on any device")
    options = parser.parse_args()
    try:
        device = Device(options.device)
    except Refusal as error:
        sys.exit(f"gpu_probes.py: {error}")
    report = {"probe": options.probe}
    report |= {key: device.info(key) for key in ("name", "driver", "units", "megahertz", "local_bytes")}
    try:
        report["rows"] = PROBES[options.probe](device, options.quick)
    except Refusal as error:
        report["skipped"] = str(error)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
