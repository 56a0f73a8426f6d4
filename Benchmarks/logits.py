#!/usr/bin/env python3
"""Checks that networks with PyTorch's random weights and running statistics give PyTorch's logits, from .safetensors and .pth.

Each network is tried with two kinds of running statistics: drawn at random, and estimated from images of noise. The latter
make a deep network magnify rounding: PyTorch in float32 is then itself up to 5e-4 away from PyTorch in float64.

For each network, file and device, the script prints the largest difference divided by the largest logit, three times:
between us and PyTorch, between us and PyTorch in float64, and between PyTorch and PyTorch in float64. The exit code is 1 if
the first is above 1e-4 and rounding does not explain it: with drawn statistics, or where the second is above twice the
third. The CPU reference gets smaller images, since it is slow.
Needs: pip install torch numpy safetensors
"""

import argparse
import copy
import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file

import torch_models

HERE = pathlib.Path(__file__).resolve().parent
NETWORKS = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "wide_resnet50_2"]
LIMIT = 1e-4


def distance(logits, expected):
    return ((logits.double() - expected.double()).abs().max() / expected.double().abs().max()).item()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--resnet", default=HERE.parent / ".build/release/resnet", type=pathlib.Path)
    parser.add_argument("--device", action="append", help="DEVICE:BATCH:SIZE; default: opencl:8:224 and cpu:2:64")
    options = parser.parse_args()
    devices = [device.rsplit(":", 2) for device in options.device or ["opencl:8:224", "cpu:2:64"]]
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        print(f"{'network':16} {'statistics':10} {'device':14} {'file':12} {'to PyTorch':>10} {'to float64':>10} {'PyTorch to it':>13}")
        for name in options.networks:
            for statistics in ("drawn", "estimated"):
                torch.manual_seed(0)
                noise = torch.randn(4, 3, 64, 64) if statistics == "estimated" else None
                model = torch_models.randomise_normalization(torch_models.build(name), noise)
                exact = copy.deepcopy(model).double()
                state = {key: value.contiguous() for key, value in model.state_dict().items()}
                files = {".safetensors": folder / f"{name}.safetensors", ".pth": folder / f"{name}.pth"}
                save_file(state, files[".safetensors"])
                torch.save(state, files[".pth"])
                for device, batch, size in devices:
                    images = torch.randn(int(batch), 3, int(size), int(size))
                    save_file({"images": images.permute(0, 2, 3, 1).contiguous()}, folder / "images.safetensors")
                    with torch.no_grad():
                        theirs, truth = model(images), exact(images.double())
                    rounding = distance(theirs, truth)
                    for ending, path in files.items():
                        subprocess.run(
                            [options.resnet, "predict", "--checkpoint", path, "--model", name, "--device", device, "--tensors",
                             folder / "images.safetensors", "--output", folder / "logits.safetensors"],
                            check=True, stdout=subprocess.DEVNULL)
                        logits = load_file(folder / "logits.safetensors")["logits"]
                        off, error = distance(logits, theirs), distance(logits, truth)
                        wrong = not off <= LIMIT and (statistics == "drawn" or not error <= 2 * rounding)
                        failed = failed or wrong
                        print(f"{name:16} {statistics:10} {f'{device} {batch}×{size}²':14} {ending:12} {off:10.1e} {error:10.1e} "
                              f"{rounding:13.1e}{'  WRONG' if wrong else ''}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
