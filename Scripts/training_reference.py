"""Training runs whose every number follows from a random seed, and the same runs in PyTorch: in float64, the reference, and
in float32, which measures the effect of rounding alone.

Weights, images and labels are too large to keep in files, so they are generated as in the project: random numbers by
Philox4x32-10 (Salmon et al., SC 2011) as in Sources/Support/Philox.swift, initial values as in Sources/NN/Initializer.swift.
Needs: pip install torch numpy safetensors
"""

import dataclasses
import pathlib
import sys

import numpy as np
import torch
from torch.nn import functional as F

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "Benchmarks"))
import torch_models  # noqa: E402

WEIGHT_STREAM = 0x696E6974
IMAGE_STREAM = 0x70617269
DEPTH_STREAM = 0x0D000008
SAMPLE = 64
# A distance may be this many times PyTorch's own distance in float32. The floor is always allowed.
SLACK = 5
FLOORS = {"loss": 1e-5, "weights": 1e-4, "update": 1e-3}


@dataclasses.dataclass(frozen=True)
class Run:
    """One training run. Batch k holds the images k·batch … of the data set, which is repeated in the same order."""

    name: str
    # Fair random seed: see make-training-fixtures.py.
    seed: int
    model: str
    steps: int
    batch: int
    images: int
    size: int
    classes: int
    shortcut: str
    nesterov: bool = False
    label_smoothing: float = 0.0
    # A weight for each class in the loss; empty for none.
    class_weights: tuple = ()
    # Probability with which a batch skips the last block; 0 for none.
    stochastic_depth: float = 0.0
    learning_rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 0.1
    # Compared values: the final "weights", or their "update", final - initial.
    compares: str = "weights"

    @property
    def is_quick(self):
        """Whether the run is small enough for the CPU reference."""
        return self.name.endswith(("-small", "-update"))


def _resnet20(name, **options):
    return Run(name, model="resnet20", steps=10, size=32, classes=10, **options)


RUNS = [
    _resnet20("resnet20-a", seed=4, batch=32, images=64, shortcut="A"),
    _resnet20("resnet20-a-nesterov", seed=4, batch=32, images=64, shortcut="A", nesterov=True, label_smoothing=0.1),
    _resnet20("resnet20-b", seed=6, batch=32, images=64, shortcut="B"),
    _resnet20("resnet20-b-nesterov", seed=6, batch=32, images=64, shortcut="B", nesterov=True, label_smoothing=0.1),
    Run("resnet56", seed=4, model="resnet56", steps=5, batch=32, images=64, size=32, classes=10, shortcut="A"),
    Run("resnet18", seed=3, model="resnet18", steps=5, batch=16, images=64, size=64, classes=1000, shortcut="B"),
    Run("resnet18-update", seed=13, model="resnet18", steps=1, batch=4, images=4, size=64, classes=10, shortcut="B",
        learning_rate=1.0, compares="update"),
    Run("resnet50-update", seed=1, model="resnet50", steps=1, batch=8, images=8, size=64, classes=10, shortcut="B",
        learning_rate=1.0, compares="update"),
    _resnet20("resnet20-a-small", seed=15, batch=4, images=16, shortcut="A"),
    _resnet20("resnet20-b-nesterov-small", seed=15, batch=4, images=16, shortcut="B", nesterov=True, label_smoothing=0.1),
    _resnet20("resnet20-a-weighted-small", seed=10, batch=4, images=16, shortcut="A", label_smoothing=0.1,
              class_weights=(0.5, 2.0, 1.0, 0.25, 3.0, 1.5, 0.75, 0.125, 4.0, 1.0)),
    # At this seed each block runs at least once, and some that change the shape are skipped.
    Run("resnet20-b-skipping-small", seed=13, model="resnet20", steps=3, batch=4, images=16, size=32, classes=10, shortcut="B",
        stochastic_depth=0.6),
    Run("preresnet164-update", seed=1, model="preresnet164", steps=1, batch=4, images=4, size=16, classes=10, shortcut="B",
        learning_rate=1.0, compares="update"),
    Run("preresnet20-small", seed=2, model="preresnet20", steps=3, batch=4, images=16, size=32, classes=10, shortcut="A"),
    Run("resnext50-update", seed=1, model="resnext50_32x4d", steps=1, batch=8, images=8, size=64, classes=10, shortcut="B",
        learning_rate=1.0, compares="update"),
    Run("resnet18-small", seed=22, model="resnet18", steps=3, batch=4, images=16, size=64, classes=10, shortcut="B"),
]


# Random numbers

def philox_words(seed, stream, index, count):
    """Returns the first `count` 32-bit words of `Philox(seed:stream:index:)`."""
    mask, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    blocks = (count + 3) // 4
    c0 = np.arange(blocks, dtype=np.uint64)
    c1 = np.full(blocks, stream, np.uint64)
    c2 = np.full(blocks, index & 0xFFFFFFFF, np.uint64)
    c3 = np.full(blocks, index >> 32, np.uint64)
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (b >> shift) ^ c1 ^ np.uint64(k0), b & mask, (a >> shift) ^ c3 ^ np.uint64(k1), a & mask
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=1).reshape(-1)[:count]


def normals(seed, stream, index, count, deviation):
    """Returns normally distributed numbers: Box and Muller 1958, a pair from two words, computed in float64, rounded to
    float32."""
    words = philox_words(seed, stream, index, (count + 1) // 2 * 2).reshape(-1, 2).astype(np.float64)
    radius = deviation * np.sqrt(-2 * np.log((words[:, 0] + 0.5) * 2.0**-32))
    angle = 2 * np.pi * words[:, 1] * 2.0**-32
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)[:count].astype(np.float32)


def uniforms(seed, stream, index, count, bound):
    """Returns uniformly distributed numbers in [-bound, bound), with 24 random bits."""
    words = philox_words(seed, stream, index, count) >> np.uint64(8)
    return (bound * (2 * (words.astype(np.float64) * 2.0**-24) - 1)).astype(np.float32)


# Initial weights and data

def tensors(model):
    """Returns weights and running statistics by name, in the order in which the project declares them."""
    return {name: t for name, t in model.state_dict().items() if not name.endswith("num_batches_tracked")}


def initial_weights(run):
    """Returns name → float32 array in torchvision's layout."""
    result = {}
    model = build(run)
    for index, (name, tensor) in enumerate(tensors(model).items()):
        shape, count = tuple(tensor.shape), tensor.numel()
        if name.startswith("fc."):
            values = uniforms(run.seed, WEIGHT_STREAM, index, count, 1 / np.sqrt(model.fc.in_features))
            result[name] = np.ascontiguousarray(values.reshape(shape[::-1]).T)
        elif len(shape) == 4:
            k, c, r, s = shape
            values = normals(run.seed, WEIGHT_STREAM, index, count, np.sqrt(2 / (k * r * s)))
            result[name] = np.ascontiguousarray(values.reshape(r, s, c, k).transpose(3, 2, 0, 1))
        else:
            one = name.endswith((".running_var", ".weight"))
            result[name] = np.full(shape, 1 if one else 0, np.float32)
    return result


def dataset(run):
    """Returns images float32 [N,H,W,3], image i drawn from index i, and labels int32 [N], label i = (classes - 1 - 7·i) mod
    classes."""
    count = run.size * run.size * 3
    images = np.stack([normals(run.seed, IMAGE_STREAM, i, count, 1.0) for i in range(run.images)])
    labels = (run.classes - 1 - 7 * np.arange(run.images)) % run.classes
    return images.reshape(run.images, run.size, run.size, 3), labels.astype(np.int32)


def build(run):
    return torch_models.build(run.model, run.classes, 3, run.shortcut)


def skipped_blocks(run, step, count):
    """Returns which of `count` blocks a step's batch skips (Huang et al. 2016), as Sources/Models/StochasticDepth.swift does."""
    epoch, batch = divmod(step, run.images // run.batch)
    words = philox_words(run.seed, DEPTH_STREAM, epoch << 32 | batch, count) >> np.uint64(8)
    return words.astype(np.float64) * 2.0**-24 >= 1 - np.arange(1, count + 1) * run.stochastic_depth / count


# Running and comparing

# PyTorch's own ways to the same result. In float32 they differ by rounding alone.
VARIANTS = ("default", "channels last", "without oneDNN", "batch reversed")


def train(run, dtype, variant="default"):
    """Trains in PyTorch. Returns the loss before each step, and name → float64 array after the last step."""
    with torch.backends.mkldnn.flags(enabled=variant != "without oneDNN"):
        return _train(run, dtype, variant)


def _train(run, dtype, variant):
    model = build(run).to(dtype)
    model.load_state_dict({n: torch.from_numpy(w) for n, w in initial_weights(run).items()}, strict=False)
    if variant == "channels last":
        model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(
        model.parameters(), run.learning_rate, momentum=run.momentum, weight_decay=run.weight_decay, nesterov=run.nesterov)
    images, labels = dataset(run)
    x = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).to(dtype)
    y = torch.from_numpy(labels.astype(np.int64))
    weights = torch.tensor(run.class_weights, dtype=dtype) if run.class_weights else None
    blocks = [m for m in model.modules() if isinstance(m, (torch_models.Block, torch_models.PreActivationBlock))]
    losses = []
    for step in range(run.steps):
        for block, is_skipped in zip(blocks, skipped_blocks(run, step, len(blocks))):
            block.is_skipped = bool(is_skipped)
        first = step * run.batch % run.images
        batch = torch.arange(first, first + run.batch)
        if variant == "batch reversed":
            batch = batch.flip(0)
        # Gradients of zero, and not none, where a block is skipped: momentum and weight decay act all the same.
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        loss = F.cross_entropy(model(x[batch]), y[batch], weight=weights, label_smoothing=run.label_smoothing)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses), {name: t.double().numpy().copy() for name, t in tensors(model).items()}


def compared(run, final, initial):
    """Returns the compared values of each tensor, in float64."""
    if run.compares == "weights":
        return final
    return {name: value - initial[name].astype(np.float64) for name, value in final.items()}


def distance(value, reference):
    """Returns ‖value - reference‖ / ‖reference‖."""
    return float(np.linalg.norm(np.ravel(value - reference)) / np.linalg.norm(np.ravel(reference)))


def bound(torch32, kind):
    """Returns the bound of a distance, given the distance of PyTorch in float32."""
    return np.maximum(SLACK * np.asarray(torch32), FLOORS[kind])


def sample(array):
    """Returns up to 64 elements, element i at the flat index ⌊i·count/64⌋ in torchvision's layout, or all of a smaller tensor."""
    flat = array.reshape(-1)
    picked = min(SAMPLE, flat.size)
    return flat[np.arange(picked) * flat.size // picked]
