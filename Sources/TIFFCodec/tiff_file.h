#pragma once
#include "tiff_codec.h"

#include <tiffio.h>

/* The most that libtiff, or a tile, may take in one piece. */
#define TIFF_CODEC_MOST_BYTES (1 << 28)

struct tiff_codec {
  const uint8_t *bytes;
  uint64_t count, place;
  TIFF *tiff;
  /* What libtiff complained about first; empty for nothing. */
  char error[TIFF_CODEC_MESSAGE];
};
