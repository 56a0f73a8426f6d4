"""Defines the project's networks in PyTorch under torchvision's parameter names: the reference for parity and the peer for speed.

He, Zhang, Ren, Sun 2015, "Deep residual learning for image recognition", and 2016, "Identity mappings in deep residual
networks"; Xie et al. 2017 (ResNeXt); Zagoruyko and Komodakis 2016 (wide). Requires only `torch`.
"""

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

IMAGENET = {
    18: ("basic", (2, 2, 2, 2)), 34: ("basic", (3, 4, 6, 3)), 50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)), 152: ("bottleneck", (3, 8, 36, 3)),
}
# Name → (depth, width multiplier of the 3×3 convolutions, number of their groups).
VARIANTS = {
    "resnext50_32x4d": (50, 2, 32), "resnext101_32x8d": (101, 4, 32), "resnext101_64x4d": (101, 4, 64),
    "wide_resnet50_2": (50, 2, 1), "wide_resnet101_2": (101, 2, 1),
}


class ZeroPadding(nn.Module):
    """Shortcut A (section 3.3): takes every stride-th pixel and adds zero channels on both sides, the smaller half first.
    No parameters."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        before = (outputs - inputs) // 2
        self.stride, self.channels = stride, (before, outputs - inputs - before)

    def forward(self, x):
        return F.pad(x[..., :: self.stride, :: self.stride], (0, 0, 0, 0, *self.channels))


class Block(nn.Module):
    """Convolutions, each with its batch normalization, and a shortcut around them. ReLU follows each batch normalization
    but the last, and follows the sum.

    `convolutions`: one (window, outputs, stride, groups) each. `shortcut`: "A", "B", or None for a plain network.
    """

    def __init__(self, inputs, convolutions, shortcut):
        super().__init__()
        outputs, stride, channels = convolutions[-1][1], max(c[2] for c in convolutions), inputs
        self.depth = len(convolutions)
        # Stochastic depth: the shortcut alone.
        self.is_skipped = False
        for i, (window, width, step, groups) in enumerate(convolutions, start=1):
            self.add_module(f"conv{i}", nn.Conv2d(channels, width, window, step, window // 2, groups=groups, bias=False))
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
        if self.is_skipped:
            return F.relu(x if self.downsample is None else self.downsample(x))
        y = x
        for i in range(1, self.depth + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            if i < self.depth:
                y = F.relu(y)
        if self.is_residual:
            y = y + (x if self.downsample is None else self.downsample(x))
        return F.relu(y)


class PreActivationBlock(nn.Module):
    """Pre-activation block: batch normalization and ReLU precede each convolution. If the shape changes, the shortcut
    starts after the first batch normalization and ReLU."""

    def __init__(self, inputs, convolutions, shortcut):
        super().__init__()
        outputs, stride, channels = convolutions[-1][1], max(c[2] for c in convolutions), inputs
        self.depth = len(convolutions)
        # Stochastic depth: the shortcut alone.
        self.is_skipped = False
        for i, (window, width, step, groups) in enumerate(convolutions, start=1):
            self.add_module(f"bn{i}", nn.BatchNorm2d(channels))
            self.add_module(f"conv{i}", nn.Conv2d(channels, width, window, step, window // 2, groups=groups, bias=False))
            channels = width
        self.downsample = None
        if stride > 1 or inputs != outputs:
            projection = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False))
            self.downsample = ZeroPadding(inputs, outputs, stride) if shortcut == "A" else projection

    def forward(self, x):
        if self.is_skipped and self.downsample is None:
            return x
        y = F.relu(self.bn1(x))
        if self.downsample is not None:
            x = self.downsample(y)
        if self.is_skipped:
            return x
        y = self.conv1(y)
        for i in range(2, self.depth + 1):
            y = getattr(self, f"conv{i}")(F.relu(getattr(self, f"bn{i}")(y)))
        return x + y


class ResNet(nn.Module):
    def __init__(self, kind, counts, widths, is_cifar, classes, channels, shortcut, widening=1, groups=1, is_pre_activated=False):
        super().__init__()
        self.is_cifar, self.stages = is_cifar, len(counts)
        stem = dict(kernel_size=3, padding=1) if is_cifar else dict(kernel_size=7, stride=2, padding=3)
        self.conv1 = nn.Conv2d(channels, widths[0], bias=False, **stem)
        if not is_pre_activated:
            self.bn1 = nn.BatchNorm2d(widths[0])
        inputs = widths[0]
        for stage, (count, width) in enumerate(zip(counts, widths), start=1):
            blocks = []
            for index in range(count):
                stride = 2 if stage > 1 and index == 0 else 1
                if kind == "basic":
                    convolutions = [(3, width, stride, 1), (3, width, 1, 1)]
                else:
                    wide = width * widening
                    convolutions = [(1, wide, 1, 1), (3, wide, stride, groups), (1, 4 * width, 1, 1)]
                blocks.append((PreActivationBlock if is_pre_activated else Block)(inputs, convolutions, shortcut))
                inputs = convolutions[-1][1]
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
        self.bn = nn.BatchNorm2d(inputs) if is_pre_activated else None
        self.fc = nn.Linear(inputs, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        x = self.conv1(x)
        if self.bn is None:
            x = F.relu(self.bn1(x))
        if not self.is_cifar:
            x = F.max_pool2d(x, 3, 2, 1)
        for stage in range(1, self.stages + 1):
            x = getattr(self, f"layer{stage}")(x)
        if self.bn is not None:
            x = F.relu(self.bn(x))
        return self.fc(x.mean((2, 3)))


def build(name, classes=None, channels=3, shortcut=None):
    """Builds `resnet20`, `plain56`, `resnet50`, …. Networks for small images have 10 classes and shortcut A by default (B
    with pre-activation); those for ImageNet have 1000 classes and shortcut B."""
    if name in VARIANTS:
        depth, widening, groups = VARIANTS[name]
        kind, counts = IMAGENET[depth]
        return ResNet(kind, counts, (64, 128, 256, 512), False, classes or 1000, channels, shortcut or "B", widening, groups)
    if name.startswith("preresnet"):
        depth = int(name.removeprefix("preresnet"))
        kind, layers = ("bottleneck", 9) if depth >= 164 and depth % 9 == 2 else ("basic", 6)
        if depth < 8 or depth % layers != 2:
            raise ValueError(f"no network of {depth} layers")
        counts = ((depth - 2) // layers,) * 3
        return ResNet(kind, counts, (16, 32, 64), True, classes or 10, channels, shortcut or "B", is_pre_activated=True)
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
    """Folds each batch normalization of a model in inference mode into the convolution before it, in place. Raises an error
    for pre-activation, where some batch normalizations follow a sum."""
    if model.bn is not None:
        raise ValueError("batch normalization before a convolution cannot be folded")
    for module in model.modules():
        parts = dict(module.named_children())
        for name, norm in parts.items():
            if isinstance(norm, nn.BatchNorm2d):
                # bn1 follows conv1; in a Sequential, 1 follows 0.
                before = name.replace("bn", "conv") if name.startswith("bn") else str(int(name) - 1)
                setattr(module, before, fuse_conv_bn_eval(parts[before], norm))
                setattr(module, name, nn.Identity())
    return model


def randomise_normalization(model, images=None):
    """Sets scales and biases unlike those of a new network, and running statistics that are estimated from these images, or
    drawn. Puts the model into inference mode."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # Running statistics are the mean over all batches.
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
            if images is None:
                nn.init.normal_(module.running_mean, 0, 0.2)
                nn.init.uniform_(module.running_var, 0.5, 1.5)
    if images is not None:
        with torch.no_grad():
            model.train()(images)
    return model.eval()
