#pragma once
#include "tiff_codec.h"

#include <tiffio.h>

/* Maximum number of bytes that libtiff, or a tile, may take in one piece. */
#define TIFF_CODEC_MOST_BYTES (1 << 28)

struct tiff_codec {
  const uint8_t *bytes;
  uint64_t count, place;
  TIFF *tiff;
  /* First error message of libtiff; empty for none. */
  char error[TIFF_CODEC_MESSAGE];
};
