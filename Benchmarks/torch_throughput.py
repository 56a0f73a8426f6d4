#!/usr/bin/env python3
"""PyTorch's throughput in training and inference on this CPU, one JSON object on a line.

All cores, a fused optimiser, inference_mode; with --fold also batch normalisation folded into the convolutions for inference, which
PyTorch does not do by itself.
Needs: pip install torch
"""

import argparse
import json
import os
import statistics
import time

import torch
from torch.nn import functional as F

import torch_models


def median_seconds(work, steps):
    """The median time of `steps` calls, after two that do not count."""
    times = []
    for _ in range(steps + 2):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times[2:])


def resident_peak():
    """The most bytes that this process has held in memory. `ru_maxrss` would begin with what the caller held."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--channels", type=int, default=3)
    parser.add_argument("--steps", type=int, default=7)
    parser.add_argument("--layout", choices=["nchw", "channels_last"], default="nchw")
    parser.add_argument("--bf16", action="store_true", help="autocast to bfloat16")
    parser.add_argument("--fold", action="store_true", help="fold batch normalisation into the convolutions for inference")
    options = parser.parse_args()

    torch.manual_seed(0)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    layout = torch.channels_last if options.layout == "channels_last" else torch.contiguous_format
    model = torch_models.build(options.model, channels=options.channels).to(memory_format=layout)
    images = torch.rand(options.batch_size, options.channels, options.image_size, options.image_size) * 2 - 1
    images = images.to(memory_format=layout)
    labels = torch.randint(0, model.fc.out_features, (options.batch_size,))
    optimiser = torch.optim.SGD(model.parameters(), 1e-3, momentum=0.9, weight_decay=1e-4, fused=True)

    def logits(network):
        with torch.autocast("cpu", torch.bfloat16, enabled=options.bf16):
            return network(images)

    def train():
        optimiser.zero_grad(set_to_none=True)
        F.cross_entropy(logits(model).float(), labels).backward()
        optimiser.step()

    model.train()
    training = median_seconds(train, options.steps)
    optimiser.zero_grad(set_to_none=True)
    folded = torch_models.fold_batch_norms(model.eval()).to(memory_format=layout) if options.fold else model.eval()
    with torch.inference_mode():
        inference = median_seconds(lambda: logits(folded), options.steps)
    print(json.dumps({
        "version": torch.__version__, "threads": torch.get_num_threads(), "layout": options.layout, "bf16": options.bf16,
        "train_images_per_second": options.batch_size / training, "infer_images_per_second": options.batch_size / inference,
        "resident_peak_bytes": resident_peak(),
    }))


if __name__ == "__main__":
    main()
