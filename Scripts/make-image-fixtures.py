#!/usr/bin/env python3
"""Writes the pictures that the tests of Images decode, and Pillow's results for them.

    python3 Scripts/make-image-fixtures.py    Tests/ImagesTests/Fixtures/*

Needs Pillow 10.2 or later, numpy and safetensors (made with Pillow 13.0, libjpeg-turbo 3.1). A second run writes the same
files. expected.safetensors contains a uint8 [H,W,3] for each picture under its file name, as Pillow decodes it to RGB and
applies its EXIF orientation. `resize H W top left bottom right` and `bicubic H W top left bottom right` are the results of
Pillow's bilinear and bicubic resize of that box of photo.png. `checksums` and `checksums bicubic` have one CRC-32 for each
entry of LARGE, for a picture that is computed from pixel coordinates.
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
    """Makes a picture of smooth colors, edges and a little noise, which compresses as photographs do. uint8 [H,W,3]."""
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
    """Makes a picture that a test can compute as well. uint8 [H,W,3]."""
    h, w, c = numpy.ogrid[0:height, 0:width, 0:3]
    return ((h * 7 + w * 13 + c * 50 + (h * w) % 251) % 256).astype(numpy.uint8)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(samples, depth, color, interlaced=False, chunks=b""):
    """Makes a PNG of samples [H,W,channels], each below 2^depth. The rows alternate between the filters 0 and 2."""
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
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, int(interlaced))
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
        "gray": jpeg(image.convert("L"), quality=80),
        "gray-progressive": jpeg(image.convert("L"), quality=80, progressive=True),
        "rgb": jpeg(image, quality=90, keep_rgb=True),
        "cmyk": cmyk,
        # The same numbers, declared to be YCCK.
        "ycck": cmyk[: adobe + 11] + b"\2" + cmyk[adobe + 12 :],
        "one-pixel": jpeg(image.crop((0, 0, 1, 1)), quality=90),
        "trailing": jpeg(image.crop((0, 0, 16, 8)), quality=90) + b"more than an image",
    }
    # A ramp stays the same ramp when it is decoded at a reduced size, wherever pixels end: 8·5 + 1 rows, 8·7 + 3 columns.
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
        "rgb-transparent-color": png(rgb, 8, 2, chunks=chunk(b"tRNS", struct.pack(">HHH", *rgb[3, 3].tolist()))),
        "rgb-gamma": png(rgb, 8, 2, chunks=chunk(b"gAMA", struct.pack(">I", 100000))),
        "rgb-orientation-6": png(rgb, 8, 2, chunks=chunk(b"eXIf", exif(6).tobytes()[6:])),
        "rgba": png(numpy.concatenate([rgb, alpha], -1), 8, 6),
        "rgba-interlaced": png(numpy.concatenate([rgb, alpha], -1), 8, 6, True),
        "rgb16": png(deep, 16, 2),
        "rgba16": png(numpy.concatenate([deep, deep_alpha], -1), 16, 6),
        "gray-alpha": png(numpy.concatenate([rgb[..., :1], alpha], -1), 8, 4),
        "gray-alpha16": png(numpy.concatenate([deep[..., :1], deep_alpha], -1), 16, 4),
        "gray16": png(deep[..., :1], 16, 0),
        "one-pixel": png(rgb[:1, :1], 8, 2, True),
    }
    for depth in (1, 2, 4, 8):
        samples = rgb[..., :1] >> (8 - depth)
        files[f"gray{depth}"] = png(samples, depth, 0)
        colors = random.integers(0, 256, (1 << depth, 3), dtype=numpy.uint8)
        transparency = chunk(b"tRNS", bytes(random.integers(0, 256, 1 << (depth - 1), dtype=numpy.uint8)))
        palette = chunk(b"PLTE", colors.tobytes())
        files[f"palette{depth}"] = png(samples, depth, 3, chunks=palette)
        files[f"palette{depth}-transparent"] = png(samples, depth, 3, depth == 4, palette + transparency)
    return {f"{name}.png": data for name, data in files.items()}


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def xmp(orientation, element=False):
    """Makes an XMP packet that contains the orientation as an attribute or as an element."""
    told = f">{orientation}</tiff:Orientation" if element else f'="{orientation}"'
    space = "xmlns:tiff='http://ns.adobe.com/tiff/1.0/'"
    tag = f"<rdf:Description {space}><tiff:Orientation{told}></rdf:Description>"
    tag = tag if element else f"<rdf:Description {space} tiff:Orientation{told}/>"
    return f"<x:xmpmeta xmlns:x='adobe:ns:meta/'><!-- tiff:Orientation --><rdf:RDF>{tag}</rdf:RDF></x:xmpmeta>".encode()


def tag(order, number, kind, values):
    """Makes the only entry of a TIFF directory."""
    letter = {1: "B", 3: "H", 4: "I", 8: "h", 9: "i"}[kind]
    data = struct.pack(f"{order}{len(values)}{letter}", *values)
    # A value of more than four bytes lies behind the directory of one entry.
    place = data.ljust(4, b"\0") if len(data) <= 4 else struct.pack(f"{order}I", 26) + b"\0\0\0\0" + data
    return struct.pack(f"{order}HHI", number, kind, len(values)) + place


def exif_data(kind, values, order="<"):
    """Makes EXIF data whose orientation has the given TIFF type."""
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, 1)
    return header + tag(order, 0x0112, kind, values) + b"\0\0\0\0"


def orientations():
    """Makes files that store the orientation in other ways than as a SHORT in EXIF data. All have the same pixels."""
    small = Image.fromarray(photo(11, 18, 4))
    plain = jpeg(small, quality=90, subsampling=0)

    def segments(*contents):
        return plain[:2] + b"".join(b"\xff\xe1" + struct.pack(">H", len(c) + 2) + c for c in contents) + plain[2:]

    def profile(data):
        return b"\nexif\n%8d\n" % len(data) + data.hex().encode() + b"\n"

    app, packet = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
    pixels = numpy.asarray(small)
    raw = b"Raw profile type exif\0"
    texts = {
        "raw-profile": chunk(b"zTXt", raw + b"\0" + zlib.compress(profile(app + exif_data(3, [8])))),
        "raw-profile-plain": chunk(b"tEXt", raw + profile(exif_data(4, [8], ">"))),
        "raw-profile-damaged": chunk(b"zTXt", raw + b"\0" + zlib.compress(b"\nexif\n8\n45786")),
        "raw-profile-huge": chunk(b"zTXt", raw + b"\0" + zlib.compress(profile(exif_data(3, [8])) + b" " * (1 << 20), 9)),
        "raw-profile-after": b"",
        "xmp": chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(6)),
        "xmp-compressed": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0en\0x\0" + zlib.compress(xmp(6))),
        "xmp-exif": chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(6)) + chunk(b"eXIf", exif_data(3, [3])),
    }
    files = {
        "long.jpg": segments(app + exif_data(4, [6])),
        "long-big.jpg": segments(app + exif_data(4, [8], ">")),
        "signed.jpg": segments(app + exif_data(9, [3])),
        "byte.jpg": segments(app + exif_data(1, [6])),
        "two.jpg": segments(app + exif_data(3, [6, 3])),
        "four.jpg": segments(app + exif_data(3, [8, 1, 1, 1])),
        "xmp.jpg": segments(packet + xmp(6)),
        "xmp-element.jpg": segments(packet + xmp(5, True)),
        "xmp-exif.jpg": segments(packet + xmp(6), app + exif_data(3, [3])),
        "xmp-exif-nonsense.jpg": segments(packet + xmp(6), app + exif_data(3, [9])),
        "xmp-nothing.jpg": segments(packet + xmp(6).replace(b'="', b'= "')),
        "lossless.webp": saved(small, "WEBP", lossless=True, exif=exif(6)),
        "xmp.webp": saved(small, "WEBP", lossless=True, xmp=xmp(8)),
        "xmp.tif": tiff(pixels, [(700, 1, xmp(6))]),
        "xmp-orientation.tif": tiff(pixels, [(274, 3, [1]), (700, 1, xmp(6))]),
        "long.tif": tiff(pixels, [(274, 4, [5])]),
        "signed.tif": tiff(pixels, [(274, 3, [7])], order=">"),
    }
    for name, chunks in texts.items():
        files[f"{name}.png"] = png(pixels, 8, 2, chunks=chunks)
    end = files["raw-profile-after.png"]
    files["raw-profile-after.png"] = end[:-12] + texts["raw-profile"] + end[-12:]
    return {f"told-{name}": data for name, data in files.items()}


def webps():
    random = numpy.random.Generator(numpy.random.PCG64(8))
    image, alpha = photo(19, 23, 9), random.integers(0, 256, (19, 23, 1), dtype=numpy.uint8)
    picture, other = Image.fromarray(image), Image.fromarray(photo(19, 23, 10))
    moving = saved(picture, "WEBP", lossless=True, save_all=True, append_images=[other], duration=100)
    # The first frame is twelve pixels wide and high, two to the right and four down. Offsets are in units of two pixels.
    part = saved(picture.crop((0, 0, 12, 12)), "WEBP", lossless=True)[12:]
    size = struct.pack("<I", 22)[:3] + struct.pack("<I", 18)[:3]
    frame = bytes([1, 0, 0, 2, 0, 0, 11, 0, 0, 11, 0, 0, 100, 0, 0, 0]) + part
    chunks = b"VP8X" + struct.pack("<I", 10) + bytes([2, 0, 0, 0]) + size + b"ANIM" + struct.pack("<I", 6) + b"\xff\xff\xff\xff\0\0"
    chunks += b"ANMF" + struct.pack("<I", len(frame)) + frame
    return {
        "lossless.webp": saved(picture, "WEBP", lossless=True),
        "lossless-alpha.webp": saved(Image.fromarray(numpy.concatenate([image, alpha], -1)), "WEBP", lossless=True, exact=True),
        "lossy.webp": saved(picture, "WEBP", quality=60),
        "lossy-alpha.webp": saved(Image.fromarray(numpy.concatenate([image, alpha], -1)), "WEBP", quality=80),
        "moving.webp": moving,
        "moving-part.webp": b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks,
    }


def gifs():
    image, other = Image.fromarray(photo(19, 23, 11)), Image.fromarray(photo(19, 23, 12))
    few, local = image.quantize(64), other.quantize(32)
    files = {
        "palette": saved(few, "GIF", interlace=False),
        "interlaced": saved(few, "GIF", interlace=True),
        "gray": saved(image.convert("L"), "GIF"),
        "two-colors": saved(image.convert("1"), "GIF"),
        "transparent": saved(few, "GIF", transparency=5),
        "moving": saved(few, "GIF", save_all=True, append_images=[local], duration=50, loop=0),
    }
    plain = saved(few, "GIF", interlace=False)
    # One screen is larger than the frame, which lies three to the right and two down; the other screen is smaller.
    place = plain.index(b",\0\0\0\0" + struct.pack("<HH", 23, 19))
    moved = plain[:place] + b"," + struct.pack("<HH", 3, 2) + plain[place + 5 :]
    files["on-a-screen"] = moved[:6] + struct.pack("<HH", 30, 25) + moved[10:]
    clear = b"!\xf9\4\1\0\0\x07\0"
    files["on-a-clear-screen"] = files["on-a-screen"][:place] + clear + files["on-a-screen"][place:]
    files["out-of-its-screen"] = moved
    files["without-its-end"] = plain[:-2]
    # The frame has its own palette, once with too few colors: 16 where the pixels use 64.
    begin, count = 13, 3 << (plain[10] & 7) + 1
    colors = plain[begin : begin + count]
    bare = plain[:10] + bytes([plain[10] & 0x70]) + plain[11:begin] + plain[begin + count :]
    mark = bare.index(b",\0\0\0\0") + 9
    files["own-palette"] = bare[:mark] + bytes([0x80 | plain[10] & 7]) + colors + bare[mark + 1 :]
    files["short-palette"] = bare[:mark] + bytes([0x80 | 3]) + colors[:48] + bare[mark + 1 :]
    files["no-palette"] = bare
    return {f"{name}.gif": data for name, data in files.items()}


def bmp(rows, bits, header=40, compression=0, palette=b"", masks=b"", top_down=False, told=None, height=19, width=23):
    """Makes a BMP of stored rows, or of run-length codes."""
    tall = -height if top_down else height
    if header == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        info = struct.pack("<IiiHHIIIIII", header, width, tall, 1, bits, compression, len(rows), 0, 0, 0, 0)
        info += masks[: header - 40].ljust(header - 40, b"\0")
        masks = masks if header == 40 else b""
    begin = 14 + len(info) + len(masks) + len(palette)
    return b"BM" + struct.pack("<IHHI", begin + len(rows), 0, 0, begin if told is None else told) + info + masks + palette + rows


def bmps():
    random = numpy.random.Generator(numpy.random.PCG64(13))
    image = photo(19, 23, 14)
    gray = image[..., 0]

    def stored(samples, bits):
        """Stores rows of [H,W] numbers, the lowest row first, each padded to a multiple of four bytes."""
        out = b""
        for row in samples[::-1].astype(numpy.int64):
            if bits < 8:
                text = "".join(format(int(v), f"0{bits}b") for v in row)
                data = bytes(int(text[i : i + 8].ljust(8, "0"), 2) for i in range(0, len(text), 8))
            else:
                data = b"".join(int(v).to_bytes(bits // 8, "little") for v in row)
            out += data + bytes(-len(data) % 4)
        return out

    wide = image.astype(numpy.int64)
    packed24 = wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]
    packed16 = (wide[..., 0] >> 3) << 11 | (wide[..., 1] >> 2) << 5 | wide[..., 2] >> 3
    packed15 = (wide[..., 0] >> 3) << 10 | (wide[..., 1] >> 3) << 5 | wide[..., 2] >> 3
    colors = {bits: random.integers(0, 256, (1 << bits, 4), dtype=numpy.uint8).tobytes() for bits in (1, 4, 8)}
    files = {
        "gray": saved(Image.fromarray(gray), "BMP"),
        "two": saved(Image.fromarray(image).convert("1"), "BMP"),
        "rgb": saved(Image.fromarray(image), "BMP"),
        "rgba": saved(Image.fromarray(numpy.dstack([image, gray])), "BMP"),
        "top-down": bmp(stored(packed24[::-1], 24), 24, top_down=True),
        "old": bmp(stored(packed24, 24), 24, header=12),
        "old-palette": bmp(stored(gray >> 4, 4), 4, header=12, palette=random.integers(0, 256, 48, dtype=numpy.uint8).tobytes()),
        "15": bmp(stored(packed15, 16), 16),
        "16": bmp(stored(packed16, 16), 16, compression=3, masks=struct.pack("<III", 0xF800, 0x7E0, 0x1F)),
        "32": bmp(stored(packed24 | 0x55000000, 32), 32),
        "32-fields": bmp(
            stored(packed24 << 8 | 9, 32), 32, 56, 3, masks=struct.pack("<IIII", 0xFF000000, 0xFF0000, 0xFF00, 0xFF)
        ),
        "no-offset": bmp(stored(gray, 8), 8, palette=colors[8], told=0),
        "palette-offset": bmp(stored(gray, 8), 8, palette=colors[8], told=54),
        "newest": bmp(stored(packed24, 24), 24, header=124),
    }
    for bits in (1, 4, 8):
        files[f"palette{bits}"] = bmp(stored(gray >> (8 - bits), bits), bits, palette=colors[bits])
    # Two rows of ten pixels: a run, literals, a run beyond the row's end, the end of the row; a jump, literals, the end.
    eight = bytes([3, 7, 0, 3, 1, 2, 3, 0, 9, 5, 0, 0, 0, 2, 4, 0, 0, 4, 9, 8, 7, 6, 2, 9, 0, 0, 0, 1])
    four = bytes([3, 0x7A, 0, 3, 0x12, 0x30, 9, 0x56, 0, 0, 0, 2, 4, 0, 0, 4, 0x98, 0x76, 2, 0x9F, 0, 0, 0, 1])
    files["runs8"] = bmp(eight, 8, compression=1, palette=colors[8], height=2, width=10)
    files["runs4"] = bmp(four, 4, compression=2, palette=colors[4], height=2, width=10)
    return {f"{name}.bmp": data for name, data in files.items()}


def tiff(samples, tags=(), order="<", bits=8, photometric=2, planar=False, tile=None, fill=0):
    """Makes an uncompressed TIFF of samples [H,W,channels], each below 2^bits."""
    height, width, channels = samples.shape
    own = {256: (4, [width]), 257: (4, [height]), 258: (3, [bits] * channels), 259: (3, [1]), 262: (3, [photometric])}
    own[277] = (3, [channels])

    def rows(part):
        if bits == 16:
            return part.astype(numpy.uint16).astype(order + "u2").tobytes()
        text = ["".join(format(int(v), f"0{bits}b") for v in row.reshape(-1)) for row in part]
        return b"".join(bytes(int(t[i : i + 8].ljust(8, "0"), 2) for i in range(0, len(t), 8)) for t in text)

    parts = [samples[..., c : c + 1] for c in range(channels)] if planar else [samples]
    if planar:
        own[284] = (3, [2])
    if tile:
        down, across = -(-height // tile), -(-width // tile)
        blocks = [numpy.pad(p, ((0, down * tile - height), (0, across * tile - width), (0, 0)), constant_values=fill) for p in parts]
        blocks = [b[t * tile :][:tile, l * tile :][:, :tile] for b in blocks for t in range(down) for l in range(across)]
        own[322], own[323] = (3, [tile]), (3, [tile])
    else:
        strip = 8
        blocks = [p[t : t + strip] for p in parts for t in range(0, height, strip)]
        own[278] = (4, [strip])
    pieces = [rows(block) for block in blocks]
    for number, kind, values in tags:
        own[number] = (kind, list(values))
    own[324 if tile else 273], own[325 if tile else 279] = (4, [0] * len(pieces)), (4, [len(p) for p in pieces])
    place = 8 + sum(len(p) for p in pieces)
    own[324 if tile else 273] = (4, [8 + sum(len(p) for p in pieces[:i]) for i in range(len(pieces))])
    directory, beyond = b"", b""
    after = place + 2 + 12 * len(own) + 4
    for number in sorted(own):
        kind, values = own[number]
        data = struct.pack(f"{order}{len(values)}" + {1: "B", 3: "H", 4: "I"}[kind], *values)
        directory += struct.pack(f"{order}HHI", number, kind, len(values))
        if len(data) <= 4:
            directory += data.ljust(4, b"\0")
        else:
            directory += struct.pack(f"{order}I", after + len(beyond))
            beyond += data + bytes(len(data) % 2)
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", place)
    return header + b"".join(pieces) + struct.pack(f"{order}H", len(own)) + directory + bytes(4) + beyond


def tiffs():
    random = numpy.random.Generator(numpy.random.PCG64(15))
    image = photo(19, 23, 16)
    alpha = random.integers(0, 256, (19, 23, 1), dtype=numpy.uint8)
    both = numpy.concatenate([image, alpha], -1)
    deep = image.astype(numpy.uint16) * 257 ^ random.integers(0, 256, image.shape, dtype=numpy.uint16)
    deep_both = numpy.concatenate([deep, alpha.astype(numpy.uint16) * 257], -1)
    colors = [int(value) for value in random.integers(0, 65536, 3 * 256)]
    picture = Image.fromarray(image)
    files = {
        "rgb": tiff(image),
        "rgb-big": tiff(image, order=">"),
        "rgb-planes": tiff(image, planar=True),
        "rgb-tiles": tiff(image, tile=16),
        "rgb-plane-tiles": tiff(image, tile=16, planar=True),
        "rgba": tiff(both, [(338, 3, [2])]),
        "rgba-planes": tiff(both, [(338, 3, [2])], planar=True),
        "rgba-associated": tiff(both, [(338, 3, [1])]),
        "rgb16": tiff(deep, bits=16),
        "rgb16-big": tiff(deep, bits=16, order=">"),
        "rgba16-associated": tiff(deep_both, [(338, 3, [1])], bits=16),
        "gray16": tiff(deep[..., :1], bits=16, photometric=1),
        "cmyk": tiff(both, photometric=5),
        "gray-alpha": tiff(both[..., 2:], [(338, 3, [2])], photometric=1),
        "lzw": saved(picture, "TIFF", compression="tiff_lzw", tiffinfo={317: 2}),
        "deflate": saved(picture, "TIFF", compression="tiff_adobe_deflate"),
        "packbits": saved(picture.convert("L"), "TIFF", compression="packbits"),
        "fax": saved(picture.convert("1"), "TIFF", compression="group4"),
        "two": saved(picture, "TIFF", save_all=True, append_images=[Image.fromarray(photo(19, 23, 17))]),
        "jpeg": saved(picture, "TIFF", compression="jpeg", quality=90),
        "jpeg-ycbcr": saved(picture.convert("YCbCr"), "TIFF", compression="jpeg", quality=90),
        "orientation-6": tiff(image, [(274, 3, [6])]),
        "orientation-3-lzw": saved(picture, "TIFF", compression="tiff_lzw", tiffinfo={274: 3}),
    }
    for bits in (1, 2, 4, 8):
        samples = image[..., :1] >> (8 - bits)
        files[f"gray{bits}"] = tiff(samples, bits=bits, photometric=1)
        files[f"white{bits}"] = tiff(samples, bits=bits, photometric=0, tile=16)
        palette = [(320, 3, colors[: 3 << bits])]
        files[f"palette{bits}"] = tiff(samples, palette, bits=bits, photometric=3)
    return {f"{name}.tif": data for name, data in files.items()}


def decoded(name, data):
    if name in ("gray16.png", "gray16.tif"):
        # Pillow turns every value from 256 on into white; our decoder takes the upper byte.
        gray = numpy.asarray(Image.open(io.BytesIO(data))).astype(numpy.uint16) >> 8
        return numpy.repeat(gray[..., None], 3, -1).astype(numpy.uint8)
    if name in ("told-raw-profile-damaged.png", "told-raw-profile-huge.png"):
        # Pillow refuses these files; our decoder leaves the image as it is.
        return photo(11, 18, 4)
    return numpy.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))


def resized(pixels, height, width, box, interpolation=Image.Resampling.BILINEAR):
    top, left, bottom, right = box
    image = Image.fromarray(pixels).resize((width, height), interpolation, (left, top, right, bottom))
    return numpy.asarray(image)


def main():
    FIXTURES.mkdir(parents=True, exist_ok=True)
    source = photo(47, 61, 7)
    files = {**jpegs(), **pngs(), **orientations(), **webps(), **gifs(), **bmps(), **tiffs(), "photo.png": png(source, 8, 2)}
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
        numbers = f"{height} {width} " + " ".join(str(edge) for edge in box)
        expected[f"resize {numbers}"] = resized(source, height, width, box)
        expected[f"bicubic {numbers}"] = resized(source, height, width, box, Image.Resampling.BICUBIC)
    # The crop comes first and then its resize, as in random crops. Rectangle (3, 5) … (40, 33).
    expected["crop then resize"] = resized(source[3:40, 5:33], 16, 16, (0, 0, 37, 28))
    # torchvision's Resize(32) and CenterCrop(28) of 47×61: the longer side is int(32·61/47) = 41, and the crop begins at (2, 6).
    expected["evaluation 32 28"] = resized(source, 32, 41, whole)[2:30, 6:34]
    # timm's resize for a crop of 28 and a fraction of 0.95: 29, the longer side int(29·61/47) = 37; the crop begins at (0, 4).
    expected["evaluation 0.95 28 bicubic"] = resized(source, 29, 37, whole, Image.Resampling.BICUBIC)[0:28, 4:32]
    expected["whole 20 12 bicubic"] = resized(source, 20, 12, whole, Image.Resampling.BICUBIC)
    for name, interpolation in (("checksums", Image.Resampling.BILINEAR), ("checksums bicubic", Image.Resampling.BICUBIC)):
        sums = [zlib.crc32(resized(computed(h, w), p, q, box, interpolation).tobytes()) for h, w, p, q, box in LARGE]
        expected[name] = numpy.array(sums, numpy.int64)
    save_file({name: numpy.ascontiguousarray(array) for name, array in expected.items()}, FIXTURES / "expected.safetensors")


main()
