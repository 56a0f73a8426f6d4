#pragma once
#include "tiff_codec.h"

#include <tiffio.h>

/* The most that libtiff, or a tile, may take in one piece. */
#define TIFF_CODEC_MOST_BYTES (1 << 28)

struct tiff_codec {
  const uint8_t *bytes;
  uint64_t count, place;
  TIFF *tiff;
  /* The first complaint of libtiff; empty for none. */
  char error[TIFF_CODEC_MESSAGE];
};
