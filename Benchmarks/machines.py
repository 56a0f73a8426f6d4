"""Describes GPUs and the kernels' main loops for expected.py. Each assumption stands here once, with its source."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class GPU:
    """What a GPU can do, per second. Sources: the vendor's data sheet and architecture paper, unless a field says otherwise."""

    units: int                # multiprocessors
    clock: float              # Hz, boost
    bandwidth: float          # bytes of memory
    fp32: float               # operations of float32 multiply-adds
    mma: dict                 # type → operations that mma.sync reaches
    launch: float = 3.6e-6    # seconds between two kernels of an in-order queue. Estimate
    set_argument: float = 0.1e-6   # seconds of clSetKernelArg. Estimate; PoCL takes 0.35 µs
    host_launch: float = 2e-6      # seconds of an enqueue on the host, without its arguments. Estimate
    copy_share: dict = dataclasses.field(default_factory=lambda: {4: 0.55, 8: 0.55, 16: 0.75})
    # copy_share: bytes of a load of one work-item → share of the bandwidth that passes over memory reach. Estimate


# mma.sync reaches 62 % of the data sheet's rate on Hopper, which is for wgmma (Luo et al. 2024, "Benchmarking and Dissecting the
# NVIDIA Hopper GPU Architecture"), and nearly all of it on Ampere.
GPUS = {
    # NVIDIA H200 data sheet (SXM: 4.8 TB/s, of which copies reach about 90 %), H100 architecture paper.
    "H200": GPU(132, 1.755e9, 4.3e12, 132 * 256 * 1.755e9,
                {"bf16": 0.62 * 989e12, "fp16": 0.62 * 989e12, "tf32": 0.62 * 494e12}),
    # NVIDIA A100 data sheet (80 GB, SXM: 2.04 TB/s, of which copies reach about 88 %), A100 architecture paper.
    "A100": GPU(108, 1.41e9, 1.8e12, 108 * 128 * 1.41e9,
                {"bf16": 0.95 * 312e12, "fp16": 0.95 * 312e12, "tf32": 0.95 * 156e12}),
}


@dataclasses.dataclass(frozen=True)
class Loop:
    """The main loop of convolution_tiled for one slice, as NVIDIA's compiler makes it for sm_90."""

    useful: int       # multiply-adds, or matrix instructions, of a warp
    instructions: int
    registers: int    # of a work-item


# (factors, rows and columns of a work-item) → loop. Counted in the machine code; the loops of 16-bit factors were counted for bf16.
LOOPS = {
    ("fp32", 8, 8): Loop(512, 633, 153), ("fp32", 4, 8): Loop(256, 370, 96), ("fp32", 8, 4): Loop(128, 330, 109),
    ("fp32", 4, 4): Loop(256, 339, 96),
    ("tf32", 8, 8): Loop(32, 335, 165), ("tf32", 4, 8): Loop(16, 250, 158),
    ("16 bit", 8, 8): Loop(32, 424, 194), ("16 bit", 4, 8): Loop(16, 315, 158),
}
REGISTERS, WARPS, LOCAL_BYTES = 65536, 64, 227 << 10   # of one multiprocessor


def issued(resident_warps, factors):
    """Returns instructions that a multiprocessor issues in a clock, of at most four. Estimate: more warps hide more latency."""
    start, slope, most = (0.55, 0.03, 0.92) if factors == "fp32" else (0.45, 0.025, 0.85)
    return 4 * min(most, start + slope * resident_warps)
