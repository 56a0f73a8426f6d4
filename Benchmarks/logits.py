#!/usr/bin/env python3
"""Whether networks with PyTorch's random weights and running statistics give PyTorch's logits, read from .safetensors and from .pth.

Prints, for each network, file and device, the largest difference over the largest logit; the exit code is 1 where one is above 1e-4.
The CPU reference gets smaller images, since it is slow.
Needs: pip install torch numpy safetensors
"""

import argparse
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--resnet", default=HERE.parent / ".build/release/resnet", type=pathlib.Path)
    parser.add_argument("--device", action="append", help="DEVICE:BATCH:SIZE; default: opencl:8:224 and cpu:2:64")
    options = parser.parse_args()
    devices = [device.rsplit(":", 2) for device in options.device or ["opencl:8:224", "cpu:2:64"]]
    worst = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name in options.networks:
            torch.manual_seed(0)
            model = torch_models.randomise_normalisation(torch_models.build(name), torch.randn(4, 3, 64, 64))
            state = {key: value.contiguous() for key, value in model.state_dict().items()}
            files = {".safetensors": folder / f"{name}.safetensors", ".pth": folder / f"{name}.pth"}
            save_file(state, files[".safetensors"])
            torch.save(state, files[".pth"])
            for device, batch, size in devices:
                images = torch.randn(int(batch), 3, int(size), int(size))
                save_file({"images": images.permute(0, 2, 3, 1).contiguous()}, folder / "images.safetensors")
                with torch.no_grad():
                    expected = model(images)
                for ending, path in files.items():
                    subprocess.run(
                        [options.resnet, "predict", "--checkpoint", path, "--model", name, "--device", device, "--tensors",
                         folder / "images.safetensors", "--output", folder / "logits.safetensors"],
                        check=True, stdout=subprocess.DEVNULL)
                    logits = load_file(folder / "logits.safetensors")["logits"]
                    error = ((logits - expected).abs().max() / expected.abs().max()).item()
                    worst = max(worst, error)
                    print(f"{name} {ending} on {device}, {batch} images of {size}²: {error:.1e}", flush=True)
            for path in files.values():
                path.unlink()
    print(f"largest: {worst:.1e}")
    return 0 if worst <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
