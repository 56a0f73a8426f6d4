"""Calls the OpenCL driver through ctypes: enough for probes, with nothing to compile or install."""

import ctypes
import ctypes.util
import glob
import os
import time
from ctypes import byref, c_char_p, c_int, c_size_t, c_uint, c_ulong, c_void_p

GPU, ALL = 4, 0xFFFFFFFF
# Property → number in cl.h, and type; None for text.
DEVICE_INFO = {
    "units": (0x1002, c_uint), "megahertz": (0x100C, c_uint), "local_bytes": (0x1023, c_ulong), "largest_buffer": (0x1010, c_ulong),
    "name": (0x102B, None), "vendor": (0x102C, None), "driver": (0x102D, None)}
# Parameters of the functions that return an error code. The waits and the event of a command come last.
WAITS = (c_uint, c_void_p, c_void_p)
SIGNATURES = {
    "clGetPlatformIDs": (c_uint, c_void_p, c_void_p),
    "clGetDeviceIDs": (c_void_p, c_ulong, c_uint, c_void_p, c_void_p),
    "clGetDeviceInfo": (c_void_p, c_uint, c_size_t, c_void_p, c_void_p),
    "clBuildProgram": (c_void_p, c_uint, c_void_p, c_char_p, c_void_p, c_void_p),
    "clGetProgramBuildInfo": (c_void_p, c_void_p, c_uint, c_size_t, c_void_p, c_void_p),
    "clSetKernelArg": (c_void_p, c_uint, c_size_t, c_void_p),
    "clEnqueueNDRangeKernel": (c_void_p, c_void_p, c_uint, c_void_p, c_void_p, c_void_p, *WAITS),
    "clEnqueueReadBuffer": (c_void_p, c_void_p, c_uint, c_size_t, c_size_t, c_void_p, *WAITS),
    "clEnqueueFillBuffer": (c_void_p, c_void_p, c_void_p, c_size_t, c_size_t, c_size_t, *WAITS),
    "clFinish": (c_void_p,), "clFlush": (c_void_p,)}
# Parameters of the functions that return an object. The last one takes the error code.
MAKERS = {
    "clCreateContext": (c_void_p, c_uint, c_void_p, c_void_p, c_void_p, c_void_p),
    "clCreateCommandQueue": (c_void_p, c_void_p, c_ulong, c_void_p),
    "clCreateBuffer": (c_void_p, c_ulong, c_size_t, c_void_p, c_void_p),
    "clCreateProgramWithSource": (c_void_p, c_uint, c_void_p, c_void_p, c_void_p),
    "clCreateKernel": (c_void_p, c_char_p, c_void_p)}


class Refusal(Exception):
    """An error of the driver."""


def driver():
    """Returns the environment that lets the OpenCL loader find NVIDIA's driver if no file names it, as in many containers."""
    if "OCL_ICD_VENDORS" in os.environ or glob.glob("/etc/OpenCL/vendors/*.icd"):
        return {}
    folders = (*os.environ.get("LD_LIBRARY_PATH", "").split(":"), "/usr/local/nvidia/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib64")
    found = next((path for f in folders if f and os.path.exists(path := f"{f}/libnvidia-opencl.so.1")), None)
    return {"OCL_ICD_VENDORS": found} if found else {}


def load():
    """Loads the OpenCL loader, or NVIDIA's driver, which has the same functions."""
    os.environ.update(driver())
    names = (ctypes.util.find_library("OpenCL"), "libOpenCL.so.1", os.environ.get("OCL_ICD_VENDORS"), "libnvidia-opencl.so.1")
    for name in filter(None, names):
        try:
            library = ctypes.CDLL(name)
            break
        except OSError:
            continue
    else:
        raise Refusal("no libOpenCL.so.1: on Debian, apt-get install ocl-icd-libopencl1")
    for name, types in {**SIGNATURES, **MAKERS}.items():
        function = getattr(library, name)
        function.argtypes, function.restype = types, c_void_p if name in MAKERS else c_int
    return library


class Device:
    """A device with a context and an in-order queue. `name`: opencl (a GPU before a CPU) or opencl:P.D, as for the program."""

    def __init__(self, name="opencl"):
        self.name, self.library = name, load()
        self.id = self.find(name)
        self.context = self.make("clCreateContext", None, 1, byref(self.id), None, None)
        self.queue = self.make("clCreateCommandQueue", self.context, self.id, 0)

    def call(self, name, *arguments):
        if code := getattr(self.library, name)(*arguments):
            raise Refusal(f"{name}: error {code}")

    def make(self, name, *arguments):
        code = c_int()
        made = getattr(self.library, name)(*arguments, byref(code))
        if code.value or not made:
            raise Refusal(f"{name}: error {code.value}")
        return c_void_p(made)

    def handles(self, name, *arguments):
        """Returns all platforms or devices; none if the driver reports an error."""
        count = c_uint()
        if getattr(self.library, name)(*arguments, 0, None, byref(count)) or not count.value:
            return []
        found = (c_void_p * count.value)()
        self.call(name, *arguments, count, found, None)
        return [c_void_p(handle) for handle in found]

    def find(self, name):
        kinds = [[self.handles("clGetDeviceIDs", p, kind) for p in self.handles("clGetPlatformIDs")] for kind in (GPU, ALL)]
        if name == "opencl":
            devices = [device for kind in kinds for platform in kind for device in platform]
            if not devices:
                raise Refusal("no OpenCL device: resnet devices lists what there is")
            return devices[0]
        try:
            platform, device = map(int, name.removeprefix("opencl:").split("."))
            return kinds[1][platform][device]
        except (ValueError, IndexError):
            raise Refusal(f"no device {name}: resnet devices lists them") from None

    def info(self, name):
        number, kind = DEVICE_INFO[name]
        if kind:
            value = kind()
            self.call("clGetDeviceInfo", self.id, number, ctypes.sizeof(value), byref(value), None)
            return value.value
        size = c_size_t()
        self.call("clGetDeviceInfo", self.id, number, 0, None, byref(size))
        text = ctypes.create_string_buffer(size.value)
        self.call("clGetDeviceInfo", self.id, number, size, text, None)
        return text.value.decode(errors="replace").strip()

    def kernel(self, source, name, options=""):
        text = c_char_p(source.encode())
        program = self.make("clCreateProgramWithSource", self.context, 1, byref(text), None)
        if self.library.clBuildProgram(program, 1, byref(self.id), options.encode(), None, None):
            log = ctypes.create_string_buffer(1 << 16)
            self.library.clGetProgramBuildInfo(program, self.id, 0x1183, len(log), log, None)
            raise Refusal(f"{name} {options} does not build: {log.value.decode(errors='replace').strip()[:600]}")
        return self.make("clCreateKernel", program, name.encode())

    def buffer(self, size, pattern=0x3F8CCCCD):
        """Returns a buffer of `size` bytes that is filled with a number. Zeros would be faster than real data on some GPUs."""
        made = self.make("clCreateBuffer", self.context, 1, size, None)
        self.call("clEnqueueFillBuffer", self.queue, made, byref(c_uint(pattern)), 4, 0, size, 0, None, None)
        return made

    def read(self, buffer, count):
        """Returns the first `count` floats of a buffer."""
        values = (ctypes.c_float * count)()
        self.call("clEnqueueReadBuffer", self.queue, buffer, 1, 0, 4 * count, values, 0, None, None)
        return list(values)

    def set(self, kernel, *arguments):
        """Sets the arguments: buffers, 32-bit numbers, or ("local", bytes)."""
        for index, value in enumerate(arguments):
            if isinstance(value, tuple):
                self.call("clSetKernelArg", kernel, index, value[1], None)
            else:
                value = c_int(value) if isinstance(value, int) else value
                self.call("clSetKernelArg", kernel, index, ctypes.sizeof(value), byref(value))

    def launch(self, kernel, items, group):
        self.call("clEnqueueNDRangeKernel", self.queue, kernel, 1, None, byref(c_size_t(items)), byref(c_size_t(group)), 0, None, None)

    def finish(self):
        self.call("clFinish", self.queue)

    def seconds(self, kernel, items, group, launches=5, rounds=3):
        """Returns the seconds of one launch: the best of some rounds after a warm-up."""
        self.launch(kernel, items, group)
        self.finish()
        best = float("inf")
        for _ in range(rounds):
            start = time.perf_counter()
            for _ in range(launches):
                self.launch(kernel, items, group)
            self.finish()
            best = min(best, (time.perf_counter() - start) / launches)
        return best
