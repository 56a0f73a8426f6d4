#!/usr/bin/env python3
"""Writes the fixtures of the tests: results of PyTorch, computed in float64 on the CPU.

    python3 Scripts/make-fixtures.py --ops      Tests/CPUBackendTests/Fixtures/*.safetensors

Needs torch, torchvision, numpy and safetensors (made with torch 2.13). Random seeds are fixed: a second run writes the same
files. Tensors are stored in this project's layout, activations [N,H,W,C] and filters [R,S,C,K]. Inputs are representable in
float32, so that both precisions start from the same numbers. The part of a name before the dot is the number of the
configuration, whose options are tensors of one element.
"""

import argparse
import pathlib

import numpy
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file
from torchvision.transforms import v2

TESTS = pathlib.Path(__file__).resolve().parent.parent / "Tests"


class Fixture:
    """The tensors of one file."""

    def __init__(self, seed):
        self.generator = torch.Generator().manual_seed(seed)
        self.tensors = {}

    def normal(self, *shape):
        """Returns normally distributed numbers in PyTorch's layout, rounded to float32 and stored as float64. They require
        gradients."""
        values = torch.randn(*shape, generator=self.generator, dtype=torch.float32).double()
        return values.requires_grad_()

    def put(self, config, **tensors):
        for name, tensor in tensors.items():
            array = tensor.detach().numpy() if isinstance(tensor, torch.Tensor) else numpy.asarray(tensor)
            self.tensors[f"{config}.{name}"] = numpy.ascontiguousarray(array)

    def option(self, config, **options):
        for name, value in options.items():
            self.tensors[f"{config}.{name}"] = numpy.array([value], dtype=numpy.float64)

    def save(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(self.tensors, path)
        print(f"{path.relative_to(TESTS.parent)}: {path.stat().st_size} bytes")


def nhwc(x):
    return x.permute(0, 2, 3, 1)


def rsck(filter):
    return filter.permute(2, 3, 1, 0)


# Operations


def convolution():
    fixture = Fixture(1)
    # N, H, W, C, K, R, S, stride, padding
    configs = [
        (2, 5, 6, 3, 4, 3, 3, 1, 1),
        (2, 7, 7, 4, 5, 3, 3, 2, 1),
        (1, 9, 8, 3, 6, 7, 7, 2, 3),
        (2, 6, 5, 5, 7, 1, 1, 2, 0),
        (1, 8, 7, 2, 3, 5, 5, 3, 2),
        (2, 4, 5, 3, 2, 3, 1, 1, 0),
    ]
    for config, (n, h, w, c, k, r, s, stride, padding) in enumerate(configs):
        x, filter = fixture.normal(n, c, h, w), fixture.normal(k, c, r, s)
        y = F.conv2d(x, filter, stride=stride, padding=padding)
        dy = fixture.normal(*y.shape)
        y.backward(dy)
        fixture.put(config, x=nhwc(x), filter=rsck(filter), y=nhwc(y), dy=nhwc(dy), dx=nhwc(x.grad), dw=rsck(filter.grad))
        fixture.option(config, stride=stride, padding=padding)
    return fixture


def batch_norm():
    """Makes two training steps of relu(bn(x) + residual), or of bn(x) alone, then one evaluation. Both constants have
    PyTorch's defaults."""
    fixture = Fixture(2)
    for config, fused in enumerate([False, True]):
        n, c, h, w = 3, 5, 4, 3
        layer = torch.nn.BatchNorm2d(c, eps=1e-5, momentum=0.1).double()
        with torch.no_grad():
            layer.weight.copy_(fixture.normal(c))
            layer.bias.copy_(fixture.normal(c))
        fixture.put(config, scale=layer.weight.clone(), bias=layer.bias.clone())
        for step in range(2):
            x, residual, dy = fixture.normal(n, c, h, w), fixture.normal(n, c, h, w), fixture.normal(n, c, h, w)
            layer.zero_grad()
            y = torch.relu(layer(x) + residual) if fused else layer(x)
            y.backward(dy)
            tensors = {"x": nhwc(x), "y": nhwc(y), "dy": nhwc(dy), "dx": nhwc(x.grad)}
            tensors |= {"dscale": layer.weight.grad.clone(), "dbias": layer.bias.grad.clone()}
            tensors |= {"runningMean": layer.running_mean.clone(), "runningVariance": layer.running_var.clone()}
            if fused:
                tensors |= {"residual": nhwc(residual), "dresidual": nhwc(residual.grad)}
            fixture.put(config, **{f"{name}{step}": tensor for name, tensor in tensors.items()})
        fixture.put(config, evaluated=nhwc(layer.eval()(x)))
    return fixture


def max_pool():
    """Converts indices to positions r·window + s in the window. The second configuration has many equal values."""
    fixture = Fixture(3)
    for config, (window, stride, padding, ties) in enumerate([(3, 2, 1, False), (3, 2, 1, True), (2, 2, 0, False)]):
        x = fixture.normal(2, 3, 7, 8)
        if ties:
            x = x.detach().round().clamp(-1, 1).requires_grad_()
        y, indices = F.max_pool2d(x, window, stride, padding, return_indices=True)
        dy = fixture.normal(*y.shape)
        y.backward(dy)
        top = torch.arange(y.shape[2]).reshape(-1, 1) * stride - padding
        left = torch.arange(y.shape[3]).reshape(1, -1) * stride - padding
        positions = (indices // 8 - top) * window + (indices % 8 - left)
        fixture.put(config, x=nhwc(x), y=nhwc(y), positions=nhwc(positions.to(torch.uint8)), dy=nhwc(dy), dx=nhwc(x.grad))
        fixture.option(config, window=window, stride=stride, padding=padding)
    return fixture


def average_pool():
    fixture = Fixture(4)
    x = fixture.normal(3, 5, 4, 7)
    y = x.mean(dim=(2, 3))
    dy = fixture.normal(*y.shape)
    y.backward(dy)
    fixture.put(0, x=nhwc(x), y=y, dy=dy, dx=nhwc(x.grad))
    return fixture


def pad_shortcut():
    """Makes option-A shortcuts as CIFAR implementations in PyTorch write them."""
    fixture = Fixture(5)
    for config, (c, k, h, w, stride) in enumerate([(4, 8, 6, 6, 2), (3, 8, 7, 5, 2), (4, 7, 3, 4, 1)]):
        x = fixture.normal(2, c, h, w)
        pad = k - c
        y = F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, pad // 2, pad - pad // 2))
        dy = fixture.normal(*y.shape)
        y.backward(dy)
        fixture.put(config, x=nhwc(x), y=nhwc(y), dy=nhwc(dy), dx=nhwc(x.grad))
        fixture.option(config, stride=stride)
    return fixture


def linear():
    fixture = Fixture(6)
    x, weight, bias = fixture.normal(5, 7), fixture.normal(3, 7), fixture.normal(3)
    y = F.linear(x, weight, bias)
    dy = fixture.normal(5, 3)
    y.backward(dy)
    fixture.put(0, x=x, weight=weight, bias=bias, y=y, dy=dy, dx=x.grad, dweight=weight.grad, dbias=bias.grad)
    return fixture


def cross_entropy():
    fixture = Fixture(7)
    for config, (n, k, smoothing) in enumerate([(6, 10, 0.0), (6, 10, 0.1), (9, 3, 0.1), (4, 2, 0.0)]):
        logits = fixture.normal(n, k)
        labels = torch.randint(k, (n,), generator=fixture.generator)
        loss = F.cross_entropy(logits, labels, label_smoothing=smoothing)
        loss.backward()
        ranked = logits.topk(min(5, k)).indices == labels.reshape(-1, 1)
        metrics = [loss.item() * n, ranked[:, 0].sum().item(), ranked.sum().item()]
        fixture.put(
            config, logits=logits, labels=labels.to(torch.int32), metrics=numpy.array(metrics), gradient=logits.grad,
            probabilities=logits.softmax(dim=1))
        fixture.option(config, smoothing=smoothing)
    # Labels of mixed images: (first label, second, the first one's share in 2^24ths), mixed as by torchvision's MixUp and CutMix.
    for config, (n, k, smoothing) in enumerate([(7, 10, 0.1), (5, 6, 0.0)], 4):
        logits = fixture.normal(n, k)
        labels = torch.randint(k, (n,), generator=fixture.generator)
        others = labels.roll(1, 0)
        share = torch.randint(1 << 24, (1,), generator=fixture.generator).item()
        target = F.one_hot(labels, k).double() * (share / 2**24) + F.one_hot(others, k).double() * (1 - share / 2**24)
        loss = F.cross_entropy(logits, target, label_smoothing=smoothing)
        loss.backward()
        ranked = logits.topk(min(5, k)).indices
        hits = [(ranked == of.reshape(-1, 1)).double() * part for of, part in ((labels, share / 2**24), (others, 1 - share / 2**24))]
        metrics = [loss.item() * n, sum(h[:, 0].sum().item() for h in hits), sum(h.sum().item() for h in hits)]
        rows = torch.stack([labels, others, torch.full((n,), share)], 1)
        fixture.put(
            config, logits=logits, labels=rows.to(torch.int32), metrics=numpy.array(metrics), gradient=logits.grad,
            probabilities=logits.softmax(dim=1))
        fixture.option(config, smoothing=smoothing)
    return fixture


def weighted_cross_entropy():
    fixture = Fixture(11)
    for config, (n, k, smoothing, is_mixed) in enumerate(
        [(6, 10, 0.0, False), (6, 10, 0.1, False), (9, 3, 0.2, False), (4, 2, 0.0, False), (7, 10, 0.1, True), (5, 6, 0.0, True)]
    ):
        logits = fixture.normal(n, k)
        weights = torch.rand(k, dtype=torch.float32, generator=fixture.generator).mul(4).add(0.125).double()
        labels = torch.randint(k, (n,), generator=fixture.generator)
        others = labels.roll(1, 0)
        share = torch.randint(1 << 24, (1,), generator=fixture.generator).item() / 2**24 if is_mixed else 1.0
        criterion = torch.nn.CrossEntropyLoss(weight=weights, label_smoothing=smoothing, reduction="mean")
        # Mixed images have the usual mean of the losses for both labels.
        loss = share * criterion(logits, labels) + (1 - share) * criterion(logits, others)
        loss.backward()
        ranked = logits.topk(min(5, k)).indices
        hits = [(ranked == of.reshape(-1, 1)).double() * part for of, part in ((labels, share), (others, 1 - share))]
        metrics = [loss.item() * n, sum(h[:, 0].sum().item() for h in hits), sum(h.sum().item() for h in hits)]
        rows = torch.stack([labels, others, torch.full((n,), round(share * 2**24))], 1) if is_mixed else labels
        fixture.put(
            config, logits=logits, labels=rows.to(torch.int32), weights=weights, metrics=numpy.array(metrics),
            gradient=logits.grad)
        fixture.option(config, smoothing=smoothing)
    return fixture


def gather_batch():
    """Makes batches of cropped and flipped images with torchvision's erase, MixUp and CutMix, normalized in float64."""
    fixture = Fixture(9)
    draw = lambda bound, *shape: torch.randint(bound, shape, generator=fixture.generator)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]).double(), torch.tensor([0.229, 0.224, 0.225]).double()
    for config, (h, w, channels, mixing) in enumerate([(9, 11, 3, "none"), (9, 11, 3, "mixup"), (8, 7, 1, "cutmix")]):
        images, labels = draw(256, 6, channels, h, w).to(torch.uint8), draw(5, 6)
        scale, shift = 1 / (255 * deviation[:channels]), -mean[:channels] / deviation[:channels]
        views, batch = [], []
        for index in draw(6, 4).tolist():
            top, left, flip = draw(5).item() - 2, draw(5).item() - 2, draw(2).item()
            padded = F.pad(images[index], (2, 2, 2, 2))[:, top + 2 : top + 2 + h, left + 2 : left + 2 + w]
            padded = padded.flip(2) if flip else padded
            x = padded.double() * scale.reshape(-1, 1, 1) + shift.reshape(-1, 1, 1)
            box = [draw(h - 3).item(), draw(w - 4).item(), 3, 4] if index % 2 else [0, 0, 0, 0]
            x = v2.functional.erase(x, box[0], box[1], box[2], box[3], torch.zeros(1, 1, 1).double()) if index % 2 else x
            views.append([index, top, left, flip, *box])
            batch.append(x)
        batch = torch.stack(batch)
        share, box = 1 << 24, [0, 0, 0, 0]
        label_share = share
        if mixing == "mixup":
            share = label_share = draw(1 << 24).item()
            batch = v2.MixUp(num_classes=5).transform(batch, {"labels": None, "batch_size": 4, "lam": share / 2**24})
        if mixing == "cutmix":
            box = [2, 1, 5, 3]
            label_share = round((1 - 15 / (h * w)) * 2**24)
            params = {"labels": None, "batch_size": 4, "box": (box[1], box[0], box[1] + box[3], box[0] + box[2])}
            batch = v2.CutMix(num_classes=5).transform(batch, params)
        rows = [views[n] + views[n - 1] + box + [share, label_share] for n in range(4)]
        expected = [[labels[row[0]].item(), labels[row[8]].item(), label_share] for row in rows]
        fixture.put(
            config, images=nhwc(images), labels=labels.to(torch.int32), plan=numpy.array(rows, numpy.int32),
            map=torch.stack([scale, shift]), x=nhwc(batch), expected=numpy.array(expected, numpy.int32))
    return fixture


def sgd():
    """Makes five steps each; gradients [5, count]."""
    fixture = Fixture(8)
    for config, (momentum, decay, nesterov) in enumerate([(0, 0, False), (0.9, 0, False), (0.9, 0.05, False), (0.9, 0.05, True)]):
        weights, gradients = fixture.normal(17), fixture.normal(5, 17).detach()
        fixture.put(config, weights=weights.detach().clone(), gradients=gradients)
        optimizer = torch.optim.SGD([weights], lr=0.1, momentum=momentum, weight_decay=decay, nesterov=nesterov)
        for gradient in gradients:
            weights.grad = gradient.clone()
            optimizer.step()
        fixture.put(config, result=weights)
        fixture.option(config, rate=0.1, momentum=momentum, decay=decay, nesterov=nesterov)
    return fixture


def adamw():
    """Makes five steps each; gradients [5, count]."""
    fixture = Fixture(9)
    for config, (rate, decay) in enumerate([(0.1, 0), (0.01, 0.1)]):
        weights, gradients = fixture.normal(17), fixture.normal(5, 17).detach()
        fixture.put(config, weights=weights.detach().clone(), gradients=gradients)
        optimizer = torch.optim.AdamW([weights], lr=rate, weight_decay=decay)
        for gradient in gradients:
            weights.grad = gradient.clone()
            torch.nn.utils.clip_grad_norm_([weights], 3)
            optimizer.step()
        fixture.put(config, result=weights)
        fixture.option(config, rate=rate, decay=decay, maximum=3)
    return fixture


def write_ops():
    for make in [convolution, batch_norm, max_pool, average_pool, pad_shortcut, linear, cross_entropy, weighted_cross_entropy,
                 gather_batch, sgd, adamw]:
        make().save(TESTS / "CPUBackendTests" / "Fixtures" / f"{make.__name__}.safetensors")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ops", action="store_true", help="the results of single operations")
    arguments = parser.parse_args()
    if not arguments.ops:
        parser.error("name what to write: --ops")
    if arguments.ops:
        write_ops()


if __name__ == "__main__":
    main()
