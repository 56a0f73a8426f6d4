/* Decoder of the first image of a TIFF file to RGB. */
#include "tiff_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Storage layout of an image's samples, and their meaning. */
struct layout {
  uint32_t width, height;
  uint16_t bits, samples, photometric, planes, compression;
  /* Number of samples that make a color. The next sample is associated alpha, if there is any. */
  uint16_t colors;
  int is_premultiplied;
  /* Columns of the palette, with 16 bits for each value. */
  const uint16_t *red, *green, *blue;
};

/* Piece of the image as libtiff delivers it: rows of `stride` bytes. */
struct piece {
  const uint8_t *bytes;
  size_t stride;
  uint32_t top, left, rows, columns;
};

static int fail(char message[TIFF_CODEC_MESSAGE], const char *reason) {
  snprintf(message, TIFF_CODEC_MESSAGE, "%s", reason);
  return 1;
}

/* Fails with libtiff's error message. */
static int refuse(const tiff_codec *codec, char message[TIFF_CODEC_MESSAGE]) {
  return fail(message, codec->error[0] != 0 ? codec->error : "its data cannot be decoded");
}

static int unsupported(char message[TIFF_CODEC_MESSAGE], const char *what, unsigned value) {
  snprintf(message, TIFF_CODEC_MESSAGE, "%s %u, which is not supported", what, value);
  return 1;
}

static int read_layout(TIFF *tiff, struct layout *layout, char message[TIFF_CODEC_MESSAGE]) {
  memset(layout, 0, sizeof *layout);
  uint16_t format = SAMPLEFORMAT_UINT, extras = 0, *kinds = NULL;
  TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &layout->width);
  TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &layout->height);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &layout->bits);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &layout->samples);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_PLANARCONFIG, &layout->planes);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_COMPRESSION, &layout->compression);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &format);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_EXTRASAMPLES, &extras, &kinds);
  /* This tag is required, but some programs leave it out. It is 0 then, as in Pillow. */
  TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &layout->photometric);
  if (format != SAMPLEFORMAT_UINT && format != SAMPLEFORMAT_VOID) {
    return unsupported(message, "its samples are no unsigned numbers but of format", format);
  }
  switch (layout->bits) {
    case 1:
    case 2:
    case 4:
    case 8:
    case 16: break;
    default: return unsupported(message, "its samples have a number of bits of", layout->bits);
  }
  switch (layout->photometric) {
    case PHOTOMETRIC_MINISWHITE:
    case PHOTOMETRIC_MINISBLACK:
    case PHOTOMETRIC_PALETTE: layout->colors = 1; break;
    case PHOTOMETRIC_RGB:
    case PHOTOMETRIC_YCBCR: layout->colors = 3; break;
    case PHOTOMETRIC_SEPARATED: layout->colors = 4; break;
    default: return unsupported(message, "its colors are of kind", layout->photometric);
  }
  if (layout->samples < layout->colors || layout->samples > 16) {
    return unsupported(message, "its pixels have a number of samples of", layout->samples);
  }
  layout->is_premultiplied =
      extras > 0 && kinds != NULL && kinds[0] == EXTRASAMPLE_ASSOCALPHA && layout->samples > layout->colors;
  if (layout->photometric == PHOTOMETRIC_PALETTE) {
    if (layout->bits > 8) return unsupported(message, "its palette has a number of bits of", layout->bits);
    uint16_t *red, *green, *blue;
    if (!TIFFGetField(tiff, TIFFTAG_COLORMAP, &red, &green, &blue)) return fail(message, "its palette is missing");
    layout->red = red, layout->green = green, layout->blue = blue;
  }
  return 0;
}

/* Reads one sample. Of a 16-bit sample, which is in this machine's byte order, it returns the upper eight bits. */
static inline unsigned sample(const uint8_t *row, size_t index, unsigned bits) {
  if (bits == 8) return row[index];
  if (bits == 16) {
    uint16_t value;
    memcpy(&value, row + 2 * index, sizeof value);
    return value >> 8;
  }
  return row[index * bits / 8] >> (8 - bits - index * bits % 8) & ((1u << bits) - 1);
}

/* Converts one pixel to RGB. Its samples must be widened to eight bits, unless they are indices into a palette. */
static inline void convert(const struct layout *layout, const uint8_t *values, uint8_t *pixel) {
  switch (layout->photometric) {
    case PHOTOMETRIC_PALETTE:
      pixel[0] = layout->red[values[0]] >> 8;
      pixel[1] = layout->green[values[0]] >> 8;
      pixel[2] = layout->blue[values[0]] >> 8;
      break;
    case PHOTOMETRIC_SEPARATED: {
      unsigned light = 255 - values[3];
      for (int c = 0; c < 3; c++) {
        /* Each ink takes its share of the light that black lets through. The product over 255 is rounded to nearest. */
        unsigned product = values[c] * light + 128;
        pixel[c] = (uint8_t)(light - ((product + (product >> 8)) >> 8));
      }
      break;
    }
    default: {
      unsigned alpha = layout->is_premultiplied ? values[layout->colors] : 255;
      for (int c = 0; c < 3; c++) {
        unsigned value = values[layout->colors == 1 ? 0 : c];
        if (layout->photometric == PHOTOMETRIC_MINISWHITE) value = 255 - value;
        if (alpha != 255) value = alpha == 0 ? 0 : value * 255 / alpha;
        pixel[c] = value > 255 ? 255 : (uint8_t)value;
      }
    }
  }
}

/* Widens the samples of a piece, which has `stored` samples per pixel, into their places in the values [width,samples] of one
   row. */
static void widen(const struct layout *layout, const uint8_t *row, uint32_t columns, uint16_t stored, uint8_t *values) {
  unsigned scale = layout->photometric == PHOTOMETRIC_PALETTE || layout->bits >= 8 ? 1 : 255 / ((1u << layout->bits) - 1);
  for (uint32_t w = 0; w < columns; w++) {
    for (uint16_t c = 0; c < stored; c++) {
      values[(size_t)w * layout->samples + c] = (uint8_t)(sample(row, (size_t)w * stored + c, layout->bits) * scale);
    }
  }
}

/* Reads all pieces of one plane, or of all samples together, and calls `put` with each piece. */
static int read_pieces(
    tiff_codec *codec, const struct layout *layout, uint16_t plane, void (*put)(void *, uint16_t, const struct piece *), void *to,
    char message[TIFF_CODEC_MESSAGE]) {
  TIFF *tiff = codec->tiff;
  int is_tiled = TIFFIsTiled(tiff);
  uint32_t tile_width = layout->width, tile_height = 1;
  if (is_tiled) {
    TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &tile_width);
    TIFFGetField(tiff, TIFFTAG_TILELENGTH, &tile_height);
    if (tile_width == 0 || tile_height == 0) return fail(message, "its tiles have no pixels");
  }
  tmsize_t bytes = is_tiled ? TIFFTileSize(tiff) : TIFFScanlineSize(tiff);
  tmsize_t stride = is_tiled ? TIFFTileRowSize(tiff) : bytes;
  size_t stored = layout->planes == PLANARCONFIG_SEPARATE ? 1 : layout->samples;
  if (bytes <= 0 || bytes > TIFF_CODEC_MOST_BYTES || stride < (tmsize_t)((tile_width * stored * layout->bits + 7) / 8)) {
    return fail(message, "its strips or tiles have an impossible size");
  }
  uint8_t *buffer = calloc((size_t)bytes, 1);
  if (buffer == NULL) return fail(message, "not enough memory");
  int status = 0;
  for (uint32_t top = 0; status == 0 && top < layout->height; top += tile_height) {
    for (uint32_t left = 0; status == 0 && left < layout->width; left += tile_width) {
      int is_read = is_tiled ? TIFFReadTile(tiff, buffer, left, top, 0, plane) >= 0
                             : TIFFReadScanline(tiff, buffer, top, plane) >= 0;
      if (!is_read) status = refuse(codec, message);
      uint32_t rows = layout->height - top < tile_height ? layout->height - top : tile_height;
      uint32_t columns = layout->width - left < tile_width ? layout->width - left : tile_width;
      struct piece piece = {buffer, (size_t)stride, top, left, rows, columns};
      if (is_read) put(to, plane, &piece);
      if (layout->width - left <= tile_width) break;
    }
    if (layout->height - top <= tile_height) break;
  }
  free(buffer);
  return status;
}

struct target {
  const struct layout *layout;
  uint8_t *pixels;
  /* Widened samples of a row; of the whole image if each sample has a plane of its own. */
  uint8_t *values;
};

static void put_together(void *to, uint16_t plane, const struct piece *piece) {
  (void)plane;
  struct target *target = to;
  const struct layout *layout = target->layout;
  for (uint32_t h = 0; h < piece->rows; h++) {
    widen(layout, piece->bytes + h * piece->stride, piece->columns, layout->samples, target->values);
    uint8_t *pixel = target->pixels + ((size_t)(piece->top + h) * layout->width + piece->left) * 3;
    for (size_t w = 0; w < piece->columns; w++) convert(layout, target->values + w * layout->samples, pixel + 3 * w);
  }
}

static void put_plane(void *to, uint16_t plane, const struct piece *piece) {
  struct target *target = to;
  const struct layout *layout = target->layout;
  for (uint32_t h = 0; h < piece->rows; h++) {
    uint8_t *values = target->values + ((size_t)(piece->top + h) * layout->width + piece->left) * layout->samples;
    widen(layout, piece->bytes + h * piece->stride, piece->columns, 1, values + plane);
  }
}

/* Lets libtiff itself decode subsampled chroma, and old-style JPEG, in any planes. */
static int decode_as_rgba(tiff_codec *codec, const struct layout *layout, uint8_t *pixels, char message[TIFF_CODEC_MESSAGE]) {
  uint16_t orientation = ORIENTATION_TOPLEFT;
  TIFFGetFieldDefaulted(codec->tiff, TIFFTAG_ORIENTATION, &orientation);
  size_t count = (size_t)layout->width * layout->height;
  uint32_t *raster = malloc(count * sizeof *raster);
  if (raster == NULL) return fail(message, "not enough memory");
  /* Requests the orientation that the image has, so that nothing is turned. */
  int status = TIFFReadRGBAImageOriented(codec->tiff, layout->width, layout->height, raster, orientation, 1) == 1
                   ? 0
                   : refuse(codec, message);
  for (size_t pixel = 0; status == 0 && pixel < count; pixel++) {
    pixels[3 * pixel] = TIFFGetR(raster[pixel]);
    pixels[3 * pixel + 1] = TIFFGetG(raster[pixel]);
    pixels[3 * pixel + 2] = TIFFGetB(raster[pixel]);
  }
  free(raster);
  return status;
}

int tiff_codec_decode(tiff_codec *codec, uint8_t *pixels, char message[TIFF_CODEC_MESSAGE]) {
  codec->error[0] = 0;
  struct layout layout;
  if (read_layout(codec->tiff, &layout, message) != 0) return 1;
  int is_separate = layout.planes == PLANARCONFIG_SEPARATE && layout.samples > 1;
  if (layout.photometric == PHOTOMETRIC_YCBCR || layout.compression == COMPRESSION_OJPEG) {
    if (layout.compression != COMPRESSION_JPEG || is_separate) return decode_as_rgba(codec, &layout, pixels, message);
    /* Decodes through libjpeg-turbo, with its smooth upsampling of chroma. */
    TIFFSetField(codec->tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
    layout.photometric = PHOTOMETRIC_RGB;
  }
  /* Skips planes that are not needed. */
  if (is_separate) layout.samples = (uint16_t)(layout.colors + layout.is_premultiplied);
  size_t places = (size_t)layout.width * (is_separate ? layout.height : 1);
  struct target target = {&layout, pixels, malloc(places * layout.samples)};
  if (target.values == NULL) return fail(message, "not enough memory");
  int status = 0;
  if (is_separate) {
    for (uint16_t plane = 0; status == 0 && plane < layout.samples; plane++) {
      status = read_pieces(codec, &layout, plane, put_plane, &target, message);
    }
    for (size_t pixel = 0; status == 0 && pixel < places; pixel++) {
      convert(&layout, target.values + pixel * layout.samples, pixels + 3 * pixel);
    }
  } else {
    status = read_pieces(codec, &layout, 0, put_together, &target, message);
  }
  free(target.values);
  /* Damage that libtiff passes over is an error as well. */
  return status == 0 && codec->error[0] != 0 ? refuse(codec, message) : status;
}
