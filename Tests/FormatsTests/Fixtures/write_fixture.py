"""Writes python.safetensors, which FormatsTests reads: every element type, a scalar, an empty tensor, metadata.

Needs the packages safetensors and torch.
"""

import pathlib

import torch
from safetensors.torch import save_file

tensors = {
    "float32": torch.tensor([[1.5, -2.25, 3e-8], [torch.inf, -0.0, 65504.0]], dtype=torch.float32),
    "float64": torch.tensor([0.1, -1e300], dtype=torch.float64),
    "float16": torch.tensor([1.0, -0.333251953125, 65504.0, 2.0**-24], dtype=torch.float16),
    "bfloat16": torch.tensor([1.0, -2.0, 3.140625], dtype=torch.bfloat16),
    "int32": torch.tensor([-(2**31), 2**31 - 1], dtype=torch.int32),
    "int64": torch.tensor([[-(2**63)], [2**63 - 1]], dtype=torch.int64),
    "uint8": torch.tensor([0, 127, 255], dtype=torch.uint8),
    "scalar": torch.tensor(42.0),
    "empty": torch.zeros(0, 3),
    'naïve "name"': torch.tensor([1], dtype=torch.uint8),
}
save_file(tensors, pathlib.Path(__file__).parent / "python.safetensors", {"format": "pt", "note": "línea\nnueva"})
