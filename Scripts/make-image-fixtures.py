#!/usr/bin/env python3
"""Writes the pictures that the tests of Images decode, and what Pillow makes of them.

    python3 Scripts/make-image-fixtures.py    Tests/ImagesTests/Fixtures/*

Needs Pillow 10.2 or later, numpy and safetensors (made with Pillow 13.0, libjpeg-turbo 3.1). A second run writes the same files.
expected.safetensors holds a uint8 [H,W,3] for each picture under its file's name, as Pillow decodes it to RGB after its EXIF
orientation; and under `resize H W top left bottom right` what Pillow's bilinear resize makes of that box of photo.png.
`checksums` is a CRC-32 for each of LARGE, of a picture that is computed from its pixels' places.
"""

import io
import pathlib
import struct
import zlib

import numpy
from PIL import Image, ImageOps
from safetensors.numpy import save_file

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "Tests" / "ImagesTests" / "Fixtures"

# Source height and width, result height and width, box (top, left, bottom, right).
LARGE = [
    (375, 500, 256, 341, (0, 0, 375, 500)),
    (375, 500, 224, 224, (17, 33, 300, 401)),
    (500, 333, 224, 224, (0.5, 10.25, 499.75, 300)),
    (1200, 1600, 96, 61, (0, 0, 1200, 1600)),
    (40, 30, 224, 224, (3, 4, 39, 29)),
    (3000, 2, 1, 1, (0, 0, 3000, 2)),
]


def photo(height, width, seed):
    """Smooth colours, edges and a little noise: what compresses as photographs do. uint8 [H,W,3]."""
    random = numpy.random.Generator(numpy.random.PCG64(seed))
    y, x = numpy.mgrid[0:height, 0:width].astype(numpy.float64)
    y, x = y / height, x / width
    channels = []
    for c in range(3):
        value = 128 + 60 * numpy.sin(3 * x + 2 * y * (c + 1) + seed) + 50 * numpy.cos(5 * y - 2 * x * (3 - c))
        value += 60 * ((x - 0.4) ** 2 + (y - 0.5) ** 2 < 0.06) - 50 * (x + y * 0.7 > 1.1)
        channels.append(value + random.normal(0, 4, (height, width)))
    return numpy.clip(numpy.stack(channels, -1), 0, 255).astype(numpy.uint8)


def computed(height, width):
    """A picture that a test can compute as well. uint8 [H,W,3]."""
    h, w, c = numpy.ogrid[0:height, 0:width, 0:3]
    return ((h * 7 + w * 13 + c * 50 + (h * w) % 251) % 256).astype(numpy.uint8)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(samples, depth, colour, interlaced=False, chunks=b""):
    """A PNG of samples [H,W,channels], each below 2^depth; rows take turns in their filters 0 and 2."""
    height, width, channels = samples.shape

    def rows(part):
        out, before = b"", None
        for index, row in enumerate(part):
            bits = "".join(format(int(value), f"0{depth}b") for value in row.reshape(-1))
            bits += "0" * (-len(bits) % 8)
            raw = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
            if index % 2 and before is not None:
                out += b"\2" + bytes((a - b) & 255 for a, b in zip(raw, before))
            else:
                out += b"\0" + raw
            before = raw
        return out

    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    parts = [samples[t::v, l::h] for t, l, v, h in passes] if interlaced else [samples]
    data = b"".join(rows(part) for part in parts if part.size)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunks + chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b"")
    )


def jpeg(image, **options):
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def jpegs():
    image = Image.fromarray(photo(27, 35, 1))
    cmyk = jpeg(Image.fromarray(numpy.concatenate([photo(27, 35, 2), photo(27, 35, 3)[..., :1]], -1), "CMYK"), quality=85)
    adobe = cmyk.index(b"Adobe")
    files = {
        "444": jpeg(image, quality=90, subsampling=0),
        "422": jpeg(image, quality=90, subsampling=1),
        "420": jpeg(image, quality=75, subsampling=2, optimize=True),
        "restarts": jpeg(image, quality=75, restart_marker_blocks=2),
        "progressive": jpeg(image, quality=80, progressive=True),
        "grey": jpeg(image.convert("L"), quality=80),
        "grey-progressive": jpeg(image.convert("L"), quality=80, progressive=True),
        "rgb": jpeg(image, quality=90, keep_rgb=True),
        "cmyk": cmyk,
        # The same numbers taken for YCCK.
        "ycck": cmyk[: adobe + 11] + b"\2" + cmyk[adobe + 12 :],
        "one-pixel": jpeg(image.crop((0, 0, 1, 1)), quality=90),
        "trailing": jpeg(image.crop((0, 0, 16, 8)), quality=90) + b"more than an image",
    }
    # Decoded at a reduced size it stays the same ramp, wherever pixels end: 8·5 + 1 rows, 8·7 + 3 columns.
    y, x = numpy.mgrid[0:41, 0:59]
    ramp = numpy.stack([5 * y + 20, 4 * x + 10, 220 - 2 * x - 2 * y], -1).astype(numpy.uint8)
    files["ramp"] = jpeg(Image.fromarray(ramp), quality=98, subsampling=0, exif=exif(1))
    small = Image.fromarray(photo(11, 18, 4))
    for orientation in range(1, 9):
        files[f"orientation-{orientation}"] = jpeg(small, quality=90, subsampling=0, exif=exif(orientation))
    return {f"{name}.jpg": data for name, data in files.items()}


def pngs():
    random = numpy.random.Generator(numpy.random.PCG64(5))
    rgb = photo(19, 23, 6)
    alpha = random.integers(0, 256, (19, 23, 1), dtype=numpy.uint8)
    deep = rgb.astype(numpy.uint16) * 257 ^ random.integers(0, 256, rgb.shape, dtype=numpy.uint16)
    deep_alpha = alpha.astype(numpy.uint16) * 200
    files = {
        "rgb": png(rgb, 8, 2),
        "rgb-interlaced": png(rgb, 8, 2, True),
        "rgb-transparent-colour": png(rgb, 8, 2, chunks=chunk(b"tRNS", struct.pack(">HHH", *rgb[3, 3].tolist()))),
        "rgb-gamma": png(rgb, 8, 2, chunks=chunk(b"gAMA", struct.pack(">I", 100000))),
        "rgb-orientation-6": png(rgb, 8, 2, chunks=chunk(b"eXIf", exif(6).tobytes()[6:])),
        "rgba": png(numpy.concatenate([rgb, alpha], -1), 8, 6),
        "rgba-interlaced": png(numpy.concatenate([rgb, alpha], -1), 8, 6, True),
        "rgb16": png(deep, 16, 2),
        "rgba16": png(numpy.concatenate([deep, deep_alpha], -1), 16, 6),
        "grey-alpha": png(numpy.concatenate([rgb[..., :1], alpha], -1), 8, 4),
        "grey-alpha16": png(numpy.concatenate([deep[..., :1], deep_alpha], -1), 16, 4),
        "grey16": png(deep[..., :1], 16, 0),
        "one-pixel": png(rgb[:1, :1], 8, 2, True),
    }
    for depth in (1, 2, 4, 8):
        samples = rgb[..., :1] >> (8 - depth)
        files[f"grey{depth}"] = png(samples, depth, 0)
        colours = random.integers(0, 256, (1 << depth, 3), dtype=numpy.uint8)
        transparency = chunk(b"tRNS", bytes(random.integers(0, 256, 1 << (depth - 1), dtype=numpy.uint8)))
        palette = chunk(b"PLTE", colours.tobytes())
        files[f"palette{depth}"] = png(samples, depth, 3, chunks=palette)
        files[f"palette{depth}-transparent"] = png(samples, depth, 3, depth == 4, palette + transparency)
    return {f"{name}.png": data for name, data in files.items()}


def decoded(name, data):
    if name == "grey16.png":
        # Here Pillow makes everything from 256 on white; ours is the upper byte.
        grey = numpy.asarray(Image.open(io.BytesIO(data))).astype(numpy.uint16) >> 8
        return numpy.repeat(grey[..., None], 3, -1).astype(numpy.uint8)
    return numpy.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))


def resized(pixels, height, width, box):
    top, left, bottom, right = box
    image = Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR, (left, top, right, bottom))
    return numpy.asarray(image)


def main():
    FIXTURES.mkdir(parents=True, exist_ok=True)
    source = photo(47, 61, 7)
    files = {**jpegs(), **pngs(), "photo.png": png(source, 8, 2)}
    expected = {}
    for name, data in files.items():
        (FIXTURES / name).write_bytes(data)
        if name != "photo.png":
            expected[name] = decoded(name, data)
    expected["photo.png"] = source
    whole = (0, 0, 47, 61)
    sizes = [(47, 61), (32, 41), (24, 30), (16, 16), (7, 9), (1, 1), (47, 20), (11, 61), (50, 64), (5, 80)]
    cases = [(h, w, whole) for h, w in sizes]
    cases += [(16, 16, (3, 5, 40, 33)), (20, 12, (0.5, 10.25, 30.75, 60.5)), (16, 20, (46, 60, 47, 61)), (9, 8, (20, 1, 29, 9))]
    for height, width, box in cases:
        expected[f"resize {height} {width} " + " ".join(str(edge) for edge in box)] = resized(source, height, width, box)
    # The whole crop first, then its resize: what random crops do. Rectangle (3, 5) … (40, 33).
    expected["crop then resize"] = resized(source[3:40, 5:33], 16, 16, (0, 0, 37, 28))
    # torchvision's Resize(32) and CenterCrop(28) of 47×61: the longer side is int(32·61/47) = 41, the crop begins at (2, 6).
    expected["evaluation 32 28"] = resized(source, 32, 41, whole)[2:30, 6:34]
    sums = [zlib.crc32(resized(computed(h, w), p, q, box).tobytes()) for h, w, p, q, box in LARGE]
    expected["checksums"] = numpy.array(sums, numpy.int64)
    save_file({name: numpy.ascontiguousarray(array) for name, array in expected.items()}, FIXTURES / "expected.safetensors")


main()
