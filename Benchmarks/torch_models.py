"""The project's networks in PyTorch, under torchvision's parameter names: the yardstick for parity and the peer for speed.

He, Zhang, Ren, Sun 2015, "Deep residual learning for image recognition". Needs nothing but `torch`.
"""

from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

IMAGENET = {
    18: ("basic", (2, 2, 2, 2)), 34: ("basic", (3, 4, 6, 3)), 50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)), 152: ("bottleneck", (3, 8, 36, 3)),
}


class ZeroPadding(nn.Module):
    """Shortcut A (section 3.3): every stride-th pixel, zero channels on both sides, the smaller half first. No parameters."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        before = (outputs - inputs) // 2
        self.stride, self.channels = stride, (before, outputs - inputs - before)

    def forward(self, x):
        return F.pad(x[..., :: self.stride, :: self.stride], (0, 0, 0, 0, *self.channels))


class Block(nn.Module):
    """Convolutions, each with its batch normalisation, and a shortcut around them; ReLU after all but before the sum's own.

    `convolutions`: a (window, outputs, stride) each. `shortcut`: "A", "B", or None for a plain network.
    """

    def __init__(self, inputs, convolutions, shortcut):
        super().__init__()
        outputs, stride, channels = convolutions[-1][1], max(c[2] for c in convolutions), inputs
        self.depth = len(convolutions)
        for i, (window, width, step) in enumerate(convolutions, start=1):
            self.add_module(f"conv{i}", nn.Conv2d(channels, width, window, step, window // 2, bias=False))
            self.add_module(f"bn{i}", nn.BatchNorm2d(width))
            channels = width
        self.is_residual = shortcut is not None
        self.downsample = None
        if self.is_residual and (stride > 1 or inputs != outputs):
            if shortcut == "A":
                self.downsample = ZeroPadding(inputs, outputs, stride)
            else:
                self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = x
        for i in range(1, self.depth + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            if i < self.depth:
                y = F.relu(y)
        if self.is_residual:
            y = y + (x if self.downsample is None else self.downsample(x))
        return F.relu(y)


class ResNet(nn.Module):
    def __init__(self, kind, counts, widths, is_cifar, classes, channels, shortcut):
        super().__init__()
        self.is_cifar, self.stages = is_cifar, len(counts)
        stem = dict(kernel_size=3, padding=1) if is_cifar else dict(kernel_size=7, stride=2, padding=3)
        self.conv1 = nn.Conv2d(channels, widths[0], bias=False, **stem)
        self.bn1 = nn.BatchNorm2d(widths[0])
        inputs = widths[0]
        for stage, (count, width) in enumerate(zip(counts, widths), start=1):
            blocks = []
            for index in range(count):
                stride = 2 if stage > 1 and index == 0 else 1
                if kind == "basic":
                    convolutions = [(3, width, stride), (3, width, 1)]
                else:
                    convolutions = [(1, width, 1), (3, width, stride), (1, 4 * width, 1)]
                blocks.append(Block(inputs, convolutions, shortcut))
                inputs = convolutions[-1][1]
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
        self.fc = nn.Linear(inputs, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        if not self.is_cifar:
            x = F.max_pool2d(x, 3, 2, 1)
        for stage in range(1, self.stages + 1):
            x = getattr(self, f"layer{stage}")(x)
        return self.fc(x.mean((2, 3)))


def build(name, classes=None, channels=3, shortcut=None):
    """`resnet20`, `plain56`, `resnet50`, …; by default 10 classes and shortcut A for small images, 1000 and B for ImageNet's."""
    is_residual = name.startswith("resnet")
    depth = int(name.removeprefix("resnet").removeprefix("plain"))
    if depth in IMAGENET:
        kind, counts = IMAGENET[depth]
        return ResNet(kind, counts, (64, 128, 256, 512), False, classes or 1000, channels, (shortcut or "B") if is_residual else None)
    if depth < 8 or depth % 6 != 2:
        raise ValueError(f"no network of {depth} layers")
    counts = ((depth - 2) // 6,) * 3
    return ResNet("basic", counts, (16, 32, 64), True, classes or 10, channels, (shortcut or "A") if is_residual else None)


def fold_batch_norms(model):
    """Folds each batch normalisation of a model in inference mode into the convolution before it, in place."""
    for module in model.modules():
        parts = dict(module.named_children())
        for name, norm in parts.items():
            if isinstance(norm, nn.BatchNorm2d):
                # bn1 follows conv1; in a sequence, 1 follows 0.
                before = name.replace("bn", "conv") if name.startswith("bn") else str(int(name) - 1)
                setattr(module, before, fuse_conv_bn_eval(parts[before], norm))
                setattr(module, name, nn.Identity())
    return model
