#!/usr/bin/env python3
"""Measures PyTorch's throughput in training and inference. Prints one line with a JSON object for each precision.

A CPU run uses all cores, a fused optimizer and inference_mode; with --fold, batch normalization is also folded into the
convolutions for inference, which PyTorch does not do by itself. A run on an NVIDIA GPU (--device cuda) also lets cuDNN
choose the fastest algorithms. fp32 multiplies in float32, tf32 lets convolutions and matrix products round their factors,
fp16 and bf16 are automatic mixed precision, and fp16 scales the loss. The script waits for each step.
Needs: pip install torch
"""

import argparse
import contextlib
import json
import os
import statistics
import sys
import time

import torch
from torch.nn import functional as F

import torch_models

PRECISIONS = ("fp32", "tf32", "fp16", "bf16")


def median_seconds(work, steps, device):
    """Returns the median time of `steps` calls, after two warm-up calls."""
    times = []
    for _ in range(steps + 2):
        start = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times[2:])


def resident_peak():
    """Returns the peak resident memory of this process in bytes. `ru_maxrss` would start from the caller's memory."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


def measure(options, precision):
    """Measures one precision and returns its figures."""
    device, layout = options.device, torch.channels_last if options.layout == "channels_last" else torch.contiguous_format
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    half = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(precision)
    mixed = (lambda: torch.autocast(device, half)) if half else contextlib.nullcontext
    scaler = torch.amp.GradScaler(device, enabled=precision == "fp16")

    model = torch_models.build(options.model, channels=options.channels).to(device, memory_format=layout)
    images = torch.rand(options.batch_size, options.channels, options.image_size, options.image_size, device=device) * 2 - 1
    images = images.to(memory_format=layout)
    labels = torch.randint(0, model.fc.out_features, (options.batch_size,), device=device)
    optimizer = torch.optim.SGD(model.parameters(), 1e-3, momentum=0.9, weight_decay=1e-4, fused=True)
    network = torch.compile(model) if options.compile else model

    def train():
        optimizer.zero_grad(set_to_none=True)
        with mixed():
            loss = F.cross_entropy(network(images), labels)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    def infer():
        with mixed():
            network(images)

    model.train()
    training = median_seconds(train, options.steps, device)
    optimizer.zero_grad(set_to_none=True)
    model.eval()
    if options.fold:
        network = torch_models.fold_batch_norms(model).to(memory_format=layout)
        network = torch.compile(network) if options.compile else network
    with torch.inference_mode():
        inference = median_seconds(infer, options.steps, device)
    return {
        "version": torch.__version__, "threads": torch.get_num_threads(), "layout": options.layout, "precision": precision,
        "compile": options.compile, "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "train_images_per_second": options.batch_size / training, "infer_images_per_second": options.batch_size / inference,
        "resident_peak_bytes": resident_peak(),
        "device_peak_bytes": torch.cuda.max_memory_allocated() if device == "cuda" else None,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--channels", type=int, default=3)
    parser.add_argument("--steps", type=int, default=7)
    parser.add_argument("--layout", choices=["nchw", "channels_last"], default="nchw")
    parser.add_argument("--fold", action="store_true", help="fold batch normalization into the convolutions for inference")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--precision", choices=PRECISIONS, nargs="+", default=["fp32"])
    parser.add_argument("--compile", action="store_true", help="through torch.compile")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("PyTorch finds no CUDA device")

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.backends.cudnn.benchmark = True
    for precision in options.precision:
        print(json.dumps(measure(options, precision)), flush=True)


if __name__ == "__main__":
    main()
